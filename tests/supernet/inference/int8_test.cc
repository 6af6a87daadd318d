// The integers that oneDNN and the passes over bytes give are those of plain loops.
#include <algorithm>
#include <map>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "space/catalog.h"
#include "space/error.h"
#include "space/lowering.h"
#include "supernet/inference/inference.h"
#include "supernet/network/memory.h"
#include "supernet/quantization/quantized_executor.h"
#include "supernet/quantization/rewrite.h"
#include "tests/formula_weights.h"
#include "tests/supernet/inference/attention_graph.h"
#include "tests/supernet/quantization/small_quantized.h"
#include "tests/test_name.h"

namespace ridgewalk {
namespace {

Graph resized(const std::string& name, int resolution) {
  Architecture architecture = find_architecture(name);
  architecture.resolution = resolution;
  return lower(architecture);
}

torch::Tensor normal_images(const Graph& graph, int batch) {
  const Shape& image = graph.ops[0].output;
  return torch::randn({batch, image.channels, image.height, image.width});
}

QuantizedNetwork quantized(const Graph& graph, const RewriteOptions& options = {}) {
  torch::manual_seed(1);
  ParameterStore store(graph);
  fill(store);
  Network folded = fold_norms(graph, store);
  return quantize(folded, ranges_of(folded, normal_images(graph, 2)), options);
}

struct Difference {
  int64_t integers = 0, unequal = 0, largest = 0;
  double of_reals = 0;  // relative to the largest
};

void compare(const torch::Tensor& given, const torch::Tensor& expected, Difference& difference) {
  ASSERT_EQ(given.scalar_type(), expected.scalar_type());
  ASSERT_EQ(given.numel(), expected.numel());
  const torch::Tensor error =
      (given.reshape_as(expected).to(torch::kDouble) - expected.to(torch::kDouble)).abs();
  if (given.scalar_type() == torch::kFloat) {
    const double largest = std::max(1e-9, expected.abs().max().item<double>());
    difference.of_reals = std::max(difference.of_reals, error.max().item<double>() / largest);
    return;
  }
  difference.integers += error.numel();
  difference.unequal += (error > 0).sum().item<int64_t>();
  difference.largest = std::max(difference.largest, error.max().item<int64_t>());
}

// Each step from what the steps before it gave: a difference shows where it arises.
std::map<std::string, Difference> differences(const QuantizedNetwork& network, int batch) {
  at::NoGradGuard no_grad;
  Inference inference(network, batch);
  const QuantizedExecutor executor(network, Products::kPlain);
  const torch::Tensor images = normal_images(network.quantized.graph, batch);
  const std::vector<torch::Tensor> expected = executor.values(images);
  std::map<std::string, Difference> result;
  for (int run = 0; run < 2; ++run) {
    inference.forward(images, [&](size_t step, double) {
      const std::vector<int>& ops = inference.steps()[step].ops;
      if (ops.empty() && step > 0) return;
      const int last = ops.empty() ? 0 : ops.back();
      const Op& op = network.quantized.graph.ops[size_t(last)];
      compare(inference.value_of_step(step), expected[size_t(last)],
              result[std::string(to_string(op.kind)) + " " + inference.steps()[step].kernel]);
    });
  }
  const torch::Tensor logits = inference.outputs()[0];
  compare(logits.contiguous(), expected.back(), result["logits"]);
  return result;
}

void expect_equal(const QuantizedNetwork& network, int batch) {
  int64_t integers = 0;
  for (const auto& [what, difference] : differences(network, batch)) {
    integers += difference.integers;
    EXPECT_EQ(difference.unequal, 0)
        << what << ": of " << difference.integers << ", by at most " << difference.largest;
    EXPECT_LT(difference.of_reals, 1e-5) << what;
  }
  EXPECT_GT(integers, 1000);
}

class Int8 : public testing::Test {
 protected:
  void SetUp() override { at::set_num_threads(1); }
};

class Int8Of : public Int8, public testing::WithParamInterface<std::string> {};

TEST_P(Int8Of, GivesThePlainIntegers) {
  expect_equal(quantized(resized(GetParam(), 64)), 1);
  expect_equal(quantized(resized(GetParam(), 40)), 2);
}

INSTANTIATE_TEST_SUITE_P(Networks, Int8Of,
                         testing::Values("mnv4-conv-small", "mnv4-hybrid-medium", "mobilenet-v1",
                                         "mobilenet-v2", "mobilenet-v3-large"),
                         [](const auto& test) { return test_name(test.param); });

// The border of a convolution, its sums, the skip of an add, a gate, a pool, a table.
class Int8ZeroPoints : public Int8, public testing::WithParamInterface<std::string> {};

TEST_P(Int8ZeroPoints, GiveThePlainIntegers) {
  for (ZeroPoints where : {ZeroPoints::kNone, ZeroPoints::kActivations, ZeroPoints::kAll}) {
    const QuantizedNetwork network = quantized(resized(GetParam(), 64), {.zero_points = where});
    const auto& values = network.quantized.values;
    const bool has_any = std::any_of(values.begin(), values.end(), [](const auto& value) {
      return value && value->zero_point != 0;
    });
    const bool has_smooth = GetParam() != "mnv4-hybrid-medium" && GetParam() != "mobilenet-v1";
    EXPECT_EQ(has_any,
              where == ZeroPoints::kAll || (has_smooth && where == ZeroPoints::kActivations));
    expect_equal(network, 1);
    expect_equal(network, 2);
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, Int8ZeroPoints,
                         testing::Values("compact-nano", "mobilenet-v3-large", "mobilenet-v1",
                                         "mnv4-hybrid-medium"),
                         [](const auto& test) { return test_name(test.param); });

// Only a file can have them: s8 that are not around 0.
TEST_F(Int8, RunsZeroPointsOfSignedIntegers) {
  QuantizedNetwork network =
      quantized(resized("mobilenet-v3-large", 40), {.zero_points = ZeroPoints::kNone});
  for (auto& value : network.quantized.values) {
    if (value && value->type == IntegerType::kS8) value->zero_point = -7;
  }
  expect_equal(network, 2);
}

// Sums of bytes that fp32 might not hold, of 1024 channels whose weights are all positive.
TEST_F(Int8, AddsZeroPointsExactlyWhereSumsAreLarge) {
  Graph graph = resized("mobilenet-v1", 64);
  for (Op& op : graph.ops) {
    if (op.kind == OpKind::kActivation) op.activation = Activation::kSilu;
  }
  torch::manual_seed(1);
  ParameterStore store(graph);
  fill(store);
  for (const Parameter& parameter : store.parameters()) {
    const bool is_wide = parameter.shape.size() == 4 && parameter.shape[1] == 1024;
    if (is_wide) store.full(parameter.name).abs_().add_(0.5);
  }
  Network folded = fold_norms(graph, store);
  const QuantizedNetwork network = quantize(folded, ranges_of(folded, normal_images(graph, 2)),
                                            {.zero_points = ZeroPoints::kAll});
  const Inference inference(network, 1);
  const bool has_exact =
      std::any_of(inference.steps().begin(), inference.steps().end(),
                  [](const Inference::Step& step) { return step.kernel == "blocks:int16"; });
  EXPECT_TRUE(has_exact);
  expect_equal(network, 1);
}

// Only a file can have one there.
TEST_F(Int8, RefusesAZeroPointInAttention) {
  QuantizedNetwork network = quantized(attention_graph(9, 4));
  for (size_t i = 0; i < network.quantized.graph.ops.size(); ++i) {
    const Op& op = network.quantized.graph.ops[i];
    if (op.kind != OpKind::kAttentionScores) continue;
    auto& query = network.quantized.values[size_t(op.inputs[0])];
    query->type = IntegerType::kU8;
    query->zero_point = 120;
  }
  try {
    Inference(network, 1);
    FAIL() << "must be refused";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("a zero point in attention"), std::string::npos)
        << error.what();
  }
}

TEST_F(Int8, TakesOneScaleForAllChannels) {
  expect_equal(quantized(resized("mnv4-conv-small", 40), {.per_channel = false}), 1);
}

TEST_F(Int8, RunsOnTwoThreads) {
  at::set_num_threads(2);
  expect_equal(quantized(resized("mobilenet-v3-large", 96)), 3);
  at::set_num_threads(1);
}

// Inside a parallel loop there is but one thread of those that it was compiled for.
TEST_F(Int8, RunsWhollyOnFewerThreadsThanItWasCompiledFor) {
  at::NoGradGuard no_grad;
  at::set_num_threads(2);
  const QuantizedNetwork network = quantized(resized("mobilenet-v3-large", 64));
  const torch::Tensor images = normal_images(network.quantized.graph, 2);
  Inference outside(network, 2), inside(network, 2);
  const torch::Tensor expected = outside.forward(images);
  torch::Tensor logits;
  at::parallel_for(0, 2, 1, [&](int64_t begin, int64_t) {
    if (begin == 0) logits = inside.forward(images);
  });
  EXPECT_TRUE(logits.equal(expected));
  at::set_num_threads(1);
}

int steps_in(const Inference& inference, DataType type) {
  return int(std::count_if(inference.steps().begin(), inference.steps().end(),
                           [&](const Inference::Step& step) { return step.type == type; }));
}

// Nothing of a convolutional network is fp32 but the images; of a hybrid, the norm before
// each attention and its softmax. What is kept in fp32 by name shows up.
TEST_F(Int8, SaysWhatIsFp32) {
  const Graph graph = resized("mnv4-conv-medium", 64);
  const Inference all(quantized(graph), 1);
  EXPECT_EQ(steps_in(all, DataType::kFp32), 1);
  EXPECT_EQ(all.steps()[0].type, DataType::kFp32);
  EXPECT_EQ(all.steps()[0].name, "images");
  const QuantizedNetwork hybrid = quantized(resized("mnv4-hybrid-medium", 64));
  const std::vector<Op>& ops = hybrid.quantized.graph.ops;
  const int64_t reals = std::count_if(ops.begin(), ops.end(), [](const Op& op) {
    return op.kind == OpKind::kSoftmax || op.kind == OpKind::kNorm;
  });
  EXPECT_GT(reals, 0);
  EXPECT_EQ(steps_in(Inference(hybrid, 1), DataType::kFp32), 1 + reals);
  const QuantizedNetwork mixed =
      quantized(graph, {.fp32_ops = {"blocks.2.0.pw_exp.conv", "classifier"}});
  EXPECT_EQ(steps_in(Inference(mixed, 1), DataType::kFp32), 3);
  expect_equal(mixed, 1);
}

// Rows of scores with a rest; the weights of an image's 2116 keys are integers near 0.
TEST_F(Int8, ComputesLargeAttentionInTiles) {
  const Graph graph = attention_graph(46, 4);
  const QuantizedNetwork network = quantized(graph);
  const Inference inference(network, 1);
  EXPECT_EQ(inference.steps().at(4).ops, (std::vector<int>{4, 5, 6}));
  const double expected = compiled_memory(graph, 1, DataType::kInt8).activations;
  const double arena = double(inference.arena_bytes());
  const bool has_copies =  // of a tile's integers as fp32, without VNNI
      inference.steps().at(4).kernel.find(" of integers") != std::string::npos;
  if (has_copies) {
    EXPECT_LT(arena, 2 * expected);
  } else {
    EXPECT_NEAR(arena, expected, 0.02 * expected);
  }
  expect_equal(network, 1);
}

TEST_F(Int8, RunsMultiHeadAttention) {
  for (const int side : {9, 46}) {  // whole, and in tiles with a rest
    const QuantizedNetwork network = quantized(attention_graph(side, 4, 4));
    expect_equal(network, 1);
  }
}

// Weights alone are integers: the network runs in fp32, on what they stand for.
TEST_F(Int8, RunsIntegerWeightsAlone) {
  const QuantizedNetwork network =
      quantized(resized("mnv4-conv-small", 64), {.rounds_values = false});
  at::NoGradGuard no_grad;
  Inference inference(network, 2);
  EXPECT_EQ(steps_in(inference, DataType::kInt8), 0);
  const torch::Tensor images = normal_images(network.quantized.graph, 2);
  const torch::Tensor expected = QuantizedExecutor(network).forward(images);
  const torch::Tensor error = (inference.forward(images) - expected).abs().max();
  EXPECT_LT(error.item<double>(), 1e-4 * expected.abs().max().item<double>());
}

// As compiled_memory() has it; pool sums and logits, which are fp32, come on top.
TEST_F(Int8, HasTheArenaThatIsPredicted) {
  for (const auto& [name, resolution, batch] : {std::tuple("mnv4-conv-medium", 256, 1),
                                                {"mobilenet-v2", 224, 1},
                                                {"mobilenet-v3-large", 224, 2},
                                                {"mnv4-hybrid-medium", 256, 1},
                                                {"mnv4-hybrid-medium", 384, 1},
                                                {"compact-hybrid-large", 64, 1},
                                                {"mnv4-conv-small", 224, 3}}) {
    const Graph graph = resized(name, resolution);
    const Inference inference(quantized(graph), batch);
    const double expected = compiled_memory(graph, batch, DataType::kInt8).activations;
    EXPECT_NEAR(double(inference.arena_bytes()), expected, 0.02 * expected)
        << name << " " << resolution << " " << batch;
  }
}

}  // namespace
}  // namespace ridgewalk
