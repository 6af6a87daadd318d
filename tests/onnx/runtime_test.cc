// Networks exported and run by ONNX Runtime, compared with the executor: every one of the
// catalogue.
#include <cstdio>

#include <gtest/gtest.h>

#include "space/catalog.h"
#include "space/features.h"
#include "space/lowering.h"
#include "supernet/formats/onnx.h"
#include "supernet/formats/weights.h"
#include "supernet/network/executor.h"
#include "tests/formula_weights.h"
#include "tests/grouped_network.h"
#include "tests/onnx/exported.h"
#include "tests/supernet/formats/small_hybrid.h"
#include "tests/test_name.h"

namespace ridgewalk {
namespace {

torch::Tensor channels_last(const torch::Tensor& images) {
  return images.contiguous(torch::MemoryFormat::ChannelsLast);
}

torch::Tensor executors_logits(const Graph& graph, ParameterStore& store,
                               const torch::Tensor& images) {
  return Executor(graph, store).forward(channels_last(images), NormMode::kRunning);
}

TEST_F(Exported, ConvolutionsInGroupsGiveTheExecutorsLogits) {
  at::NoGradGuard no_grad;
  const Graph graph = lower(grouped_network());
  ParameterStore store(graph);
  fill(store);
  const auto images = torch::randn({2, 3, 32, 32});
  const auto expected = executors_logits(graph, store, images);
  const Network folded = fold_norms(graph, store);
  write_onnx(model(), folded.graph, folded.parameters);
  EXPECT_LT((run(images, expected) - expected).abs().max().item<double>(),
            1e-4 * expected.abs().max().item<double>());
}

TEST_F(Exported, MultiHeadAttentionGivesTheExecutorsLogits) {
  at::NoGradGuard no_grad;
  Architecture architecture = small_hybrid();
  std::get<MobileMqa>(architecture.stages[0][1]).kv_heads = 2;
  const Graph graph = lower(architecture);
  ParameterStore store(graph);
  fill(store);
  const auto images = torch::randn({2, 1, 16, 16});
  const auto expected = executors_logits(graph, store, images);
  write_onnx(model(), graph, store);
  EXPECT_LT((run(images, expected) - expected).abs().max().item<double>(),
            1e-4 * expected.abs().max().item<double>());
}

class Runtime : public Exported, public testing::WithParamInterface<std::string> {};

TEST_P(Runtime, GivesTheExecutorsLogits) {
  at::NoGradGuard no_grad;
  const Architecture architecture = find_architecture(GetParam());
  const Graph graph = lower(architecture);
  ParameterStore store(graph);
  fill(store);
  const int64_t side = architecture.resolution;
  const auto images = torch::randn({2, architecture.channels, side, side});
  const auto expected = executors_logits(graph, store, images);
  const double scale = expected.abs().max().item<double>();
  ASSERT_GT(scale, 0);
  for (bool folded : {true, false}) {
    const std::string path = model();
    if (folded) {
      const Network network = fold_norms(graph, store);
      write_onnx(path, network.graph, network.parameters);
    } else {
      write_onnx(path, graph, store);
    }
    const auto logits = run(images, expected);
    const double difference = (logits - expected).abs().max().item<double>() / scale;
    std::printf("%s, %s: worst difference %.2g of the largest logit\n", GetParam().c_str(),
                folded ? "folded" : "not folded", difference);
    EXPECT_LT(difference, 1e-4);
  }
}

// The maps of a folded hybrid, against those of the graph with its norms.
TEST_F(Exported, FeatureMapsAreTheExecutors) {
  at::NoGradGuard no_grad;
  Architecture architecture = find_architecture("mnv4-hybrid-medium-075");
  architecture.resolution = 128;
  const Graph graph = lower(architecture);
  ParameterStore store(graph);
  fill(store);
  const auto images = torch::randn({2, 3, 128, 128});
  const Network folded = fold_norms(graph, store);
  write_onnx(model(), folded.graph, folded.parameters, {},
             {.features = feature_maps(folded.graph)});
  std::vector<torch::Tensor> maps;
  Executor executor(graph, store);
  const std::vector<FeatureMap> features = feature_maps(graph);
  executor.observe([&](const Op& op, const torch::Tensor& output) {
    for (const FeatureMap& map : features) {
      if (graph.ops[size_t(map.op)].name == op.name) maps.push_back(output.contiguous().flatten());
    }
  });
  executor.forward(channels_last(images), NormMode::kRunning);
  ASSERT_EQ(maps.size(), 4u);
  const torch::Tensor expected = torch::cat(maps);
  EXPECT_EQ(expected.numel(), 2 * (40 * 32 * 32 + 64 * 16 * 16 + 120 * 8 * 8 + 720 * 4 * 4));
  const torch::Tensor given = run(images, expected);
  EXPECT_LT((given - expected).abs().max().item<double>(),
            1e-4 * expected.abs().max().item<double>());
}

// Scores and boxes of all levels, one after the other, with weights that the levels share.
TEST_F(Exported, MapsOfADetectorAreTheExecutors) {
  at::NoGradGuard no_grad;
  Architecture architecture = find_architecture("mnv4-hybrid-medium-retinanet");
  architecture.resolution = 128;
  const Graph graph = lower(architecture);
  ParameterStore store(graph);
  fill(store);
  const auto images = torch::randn({2, 3, 128, 128});
  std::vector<torch::Tensor> maps;
  Executor executor(graph, store);
  for (const auto& map : executor.outputs(channels_last(images), NormMode::kRunning)) {
    maps.push_back(map.contiguous().flatten());
  }
  const torch::Tensor expected = torch::cat(maps);
  EXPECT_EQ(expected.numel(), 2 * (91 + 4) * 9 * (256 + 64 + 16 + 4 + 1));
  const double tolerance = 1e-4 * expected.abs().max().item<double>();
  const Network folded = fold_norms(graph, store);
  const std::string path = model();
  write_onnx(path, folded.graph, folded.parameters);
  EXPECT_LT((run(images, expected) - expected).abs().max().item<double>(), tolerance);
  for (int opset : {kOldestOpset, 13, kNewestOpset}) {
    write_onnx(path, graph, store, {}, {.opset = opset});
    EXPECT_LT((run(images, expected) - expected).abs().max().item<double>(), tolerance) << opset;
  }
  // What was written is read again, tensor by tensor.
  const Network read = load_network(path, graph, torch::kCPU);
  EXPECT_TRUE(read.parameters.values().equal(store.values()));
}

// Hard swish and squeeze-and-excitation, clipped ReLU, attention: what differs between opsets.
TEST_F(Exported, OlderOperatorsGiveTheSameLogits) {
  at::NoGradGuard no_grad;
  for (const char* name : {"mobilenet-v3-large", "mobilenet-v2-050", "mnv4-hybrid-medium-075"}) {
    Architecture architecture = find_architecture(name);
    architecture.resolution = 96;
    const Graph graph = lower(architecture);
    ParameterStore store(graph);
    fill(store);
    const auto images = torch::randn({1, 3, 96, 96});
    const auto expected = executors_logits(graph, store, images);
    for (int opset = kOldestOpset; opset <= kNewestOpset; ++opset) {
      write_onnx(model(), graph, store, {}, {.opset = opset, .batch = 1});
      const double difference = (run(images, expected) - expected).abs().max().item<double>();
      EXPECT_LT(difference, 1e-4 * expected.abs().max().item<double>()) << name << ' ' << opset;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Catalogue, Runtime, testing::ValuesIn(catalog_names()),
                         [](const auto& test) { return test_name(test.param); });

}  // namespace
}  // namespace ridgewalk
