// The compiled path gives the executor's logits.
#include "supernet/inference/inference.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "space/catalog.h"
#include "space/decisions.h"
#include "space/lowering.h"
#include "supernet/network/executor.h"
#include "supernet/network/memory.h"
#include "tests/formula_weights.h"
#include "tests/grouped_network.h"
#include "tests/supernet/inference/attention_graph.h"
#include "tests/test_name.h"

namespace ridgewalk {
namespace {

torch::Tensor random_images(const Graph& graph, int batch) {
  const Shape& image = graph.ops[0].output;
  return torch::randn({batch, image.channels, image.height, image.width});
}

// The largest difference, relative to the largest logit.
double difference(const Graph& graph, int batch, DataType precision = DataType::kFp32) {
  at::NoGradGuard no_grad;
  ParameterStore store(graph);
  fill(store);
  Inference inference(fold_norms(graph, store), batch, precision);
  const Executor executor(graph, store);
  double worst = 0;
  for (int run = 0; run < 2; ++run) {  // the second finds the first one's values in the arena
    const torch::Tensor images = random_images(graph, batch);
    const torch::Tensor expected = executor.forward(images, NormMode::kRunning);
    const torch::Tensor logits = inference.forward(images);
    EXPECT_EQ(logits.sizes(), expected.sizes());
    const torch::Tensor error = (logits - expected).abs().max() / expected.abs().max();
    worst = std::max(worst, error.item<double>());
  }
  return worst;
}

Graph graph_of(const std::string& name, int resolution = 0) {
  Architecture architecture = find_architecture(name);
  if (resolution > 0) architecture.resolution = resolution;
  return lower(architecture);
}

class InferenceOf : public testing::TestWithParam<std::string> {};

TEST_P(InferenceOf, GivesTheExecutorsLogits) {
  at::set_num_threads(1);
  EXPECT_LT(difference(graph_of(GetParam(), 64), 1), 1e-4);
  EXPECT_LT(difference(graph_of(GetParam(), 72), 3), 1e-4);  // odd sizes, several images
}

INSTANTIATE_TEST_SUITE_P(Catalogue, InferenceOf, testing::ValuesIn(catalog_names()),
                         [](const auto& test) { return test_name(test.param); });

TEST(Inference, HoldsAtTheResolutionsThatAreMeasured) {
  at::set_num_threads(2);
  for (const char* name : {"mnv4-conv-small", "mnv4-hybrid-medium", "mobilenet-v3-large"}) {
    EXPECT_LT(difference(graph_of(name), 1), 1e-4) << name;
  }
  at::set_num_threads(1);
}

TEST(Inference, Bf16IsNear) {
  if (precision_named("auto", torch::kCPU) != DataType::kBf16) {
    GTEST_SKIP() << "this CPU does not multiply bf16";
  }
  EXPECT_LT(difference(graph_of("mnv4-hybrid-medium", 96), 1, DataType::kBf16), 0.05);
  EXPECT_LT(difference(graph_of("mobilenet-v3-large", 96), 2, DataType::kBf16), 0.05);
}

// Int8 takes a quantised network.
TEST(Inference, RunsNothingInAnotherType) {
  const Network network = fresh_network(graph_of("compact-nano"));
  EXPECT_THROW(Inference(network, 1, DataType::kInt8), std::invalid_argument);
  EXPECT_THROW(Inference(network, 1, DataType::kFp16), std::invalid_argument);
}

TEST(Inference, RunsConvolutionsInGroups) {
  EXPECT_LT(difference(lower(grouped_network()), 1), 1e-4);
  EXPECT_LT(difference(lower(grouped_network()), 3), 1e-4);
}

// Options of a choice side by side: values with several readers, and a mean.
TEST(Inference, RunsABlend) {
  const SearchSpace space = load_search_space("fashion-mnist");
  Decisions decisions;
  for (const Choice& choice : choices(space)) {
    const bool blend = choice.kind == ChoiceKind::kOperation && choice.options.size() > 1;
    decisions.push_back(blend ? kBlend : choice.widest);
  }
  deactivate_unused(space, choice_layout(space), decisions);
  EXPECT_LT(difference(lower(decode_blended(space, decisions)), 2), 1e-4);
}

// More scores than a tile holds: rows of an image with a rest, and several images with a rest.
TEST(Inference, ComputesLargeAttentionInTiles) {
  EXPECT_LT(difference(attention_graph(60, 4), 2), 1e-4);
  EXPECT_LT(difference(attention_graph(32, 4), 6), 1e-4);
  const Graph graph = attention_graph(60, 4);
  ParameterStore store(graph);
  const Inference inference(fold_norms(graph, store), 2);
  EXPECT_LT(inference.arena_bytes(), 3u * 4 * (1 << 24));  // all scores: 4 * 2 * 4 * 3600^2
  EXPECT_NEAR(double(inference.arena_bytes()), compiled_memory(graph, 2).activations,
              0.02 * double(inference.arena_bytes()));
  const Inference::Step& step = inference.steps().at(4);
  EXPECT_EQ(step.name, "scores");
  EXPECT_EQ(step.ops, (std::vector<int>{4, 5, 6}));
}

// Head after head, whole and in tiles with a rest, and on the way through a network.
TEST(Inference, RunsMultiHeadAttention) {
  EXPECT_LT(difference(attention_graph(9, 4, 4), 1), 1e-4);
  EXPECT_LT(difference(attention_graph(9, 4, 4), 3), 1e-4);
  EXPECT_LT(difference(attention_graph(70, 2, 2), 1), 1e-4);
  EXPECT_LT(difference(attention_graph(46, 2, 2), 3), 1e-4);
  Architecture architecture = find_architecture("mnv4-hybrid-medium");
  architecture.resolution = 72;
  for (auto& stage : architecture.stages) {
    for (Block& block : stage) {
      if (auto* mqa = std::get_if<MobileMqa>(&block)) mqa->kv_heads = mqa->heads;
    }
  }
  EXPECT_LT(difference(lower(architecture), 2), 1e-4);
  const Graph graph = attention_graph(70, 2, 2);
  ParameterStore store(graph);
  const Inference inference(fold_norms(graph, store), 1);
  EXPECT_NEAR(double(inference.arena_bytes()), compiled_memory(graph, 1).activations,
              0.02 * double(inference.arena_bytes()));
}

// Maps of a detector, whose levels share weights, each against the executor's.
TEST(Inference, GivesTheMapsOfADetector) {
  at::NoGradGuard no_grad;
  Architecture architecture = find_architecture("mnv4-hybrid-medium-retinanet");
  architecture.resolution = 128;
  const Graph graph = lower(architecture);
  ParameterStore store(graph);
  fill(store);
  Inference inference(fold_norms(graph, store), 2);
  const torch::Tensor images = random_images(graph, 2);
  const auto expected = Executor(graph, store).outputs(images, NormMode::kRunning);
  const torch::Tensor first = inference.forward(images);
  const auto maps = inference.outputs();
  ASSERT_EQ(maps.size(), 10u);
  ASSERT_EQ(expected.size(), 10u);
  for (size_t i = 0; i < maps.size(); ++i) {
    ASSERT_EQ(maps[i].sizes(), expected[i].sizes());
    const auto error = (maps[i] - expected[i]).abs().max() / expected[i].abs().max();
    EXPECT_LT(error.item<double>(), 1e-4) << graph.outputs[i].name;
  }
  EXPECT_TRUE(first.equal(maps[0]));
}

// A skip that is read again after its add must not be overwritten.
TEST(Inference, KeepsASkipThatIsReadLater) {
  const Shape shape{16, 8, 8};
  const auto conv = [&](const char* name, int x) {
    return Op{.kind = OpKind::kConv, .name = name, .inputs = {x}, .output = shape, .kernel = 3};
  };
  const Graph graph{
      .name = "late",
      .ops = {{.kind = OpKind::kInput, .name = "input", .output = shape},
              conv("a", 0),
              conv("b", 1),
              {.kind = OpKind::kAdd, .name = "first", .inputs = {2, 1}, .output = shape},
              {.kind = OpKind::kAdd, .name = "second", .inputs = {3, 1}, .output = shape},
              {.kind = OpKind::kPool, .name = "pool", .inputs = {4}, .output = {16, 1, 1}},
              {.kind = OpKind::kLinear,
               .name = "classifier",
               .inputs = {5},
               .output = {10, 1, 1},
               .bias = true}}};
  EXPECT_LT(difference(graph, 1), 1e-4);
}

TEST(Inference, EveryOpHasOneStep) {
  at::NoGradGuard no_grad;
  const Graph graph = graph_of("mnv4-hybrid-medium", 64);
  ParameterStore store(graph);
  const Network folded = fold_norms(graph, store);
  const Inference inference(folded, 1);
  std::vector<int> steps(folded.graph.ops.size());
  for (const Inference::Step& step : inference.steps()) {
    EXPECT_FALSE(step.kernel.empty());
    for (int op : step.ops) ++steps[size_t(op)];
  }
  steps[0] = 1;  // the input
  EXPECT_EQ(std::count(steps.begin(), steps.end(), 1), std::ssize(steps));
  // Activations and adds run inside convolutions.
  EXPECT_LT(inference.steps().size(), folded.graph.ops.size() * 3 / 4);
}

TEST(Inference, RefusesOtherImagesAndThreads) {
  const Graph graph = graph_of("compact-nano");
  ParameterStore store(graph);
  Inference inference(fold_norms(graph, store), 2);
  EXPECT_THROW(inference.forward(random_images(graph, 1)), std::invalid_argument);
  EXPECT_THROW(inference.forward(random_images(graph, 2).to(torch::kDouble)),
               std::invalid_argument);
  at::set_num_threads(at::get_num_threads() + 1);
  EXPECT_THROW(inference.forward(random_images(graph, 2)), std::invalid_argument);
  at::set_num_threads(1);
}

}  // namespace
}  // namespace ridgewalk
