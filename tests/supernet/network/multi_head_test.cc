// Attention whose heads have keys and values of their own.
#include <fstream>

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "space/decisions.h"
#include "space/json.h"
#include "space/lowering.h"
#include "supernet/network/attention.h"
#include "supernet/network/executor.h"
#include "tests/formula_weights.h"

namespace ridgewalk {
namespace {

constexpr int kChannels = 12, kHeads = 3, kHeight = 3, kWidth = 5;

// Attention between 1x1 convolutions, as in the file.
Graph attention_between_convolutions() {
  const Shape image{kChannels, kHeight, kWidth};
  const Shape scores{kHeads, kHeight * kWidth, kHeight * kWidth};
  const auto conv = [&](const char* name, int x) {
    return Op{.kind = OpKind::kConv, .name = name, .inputs = {x}, .output = image};
  };
  return {.name = "multi-head",
          .ops = {{.kind = OpKind::kInput, .name = "input", .output = image},
                  conv("query", 0),
                  conv("key", 0),
                  conv("value", 0),
                  {.kind = OpKind::kAttentionScores,
                   .name = "scores",
                   .inputs = {1, 2},
                   .output = scores,
                   .heads = kHeads,
                   .kv_heads = kHeads},
                  {.kind = OpKind::kSoftmax, .name = "softmax", .inputs = {4}, .output = scores},
                  {.kind = OpKind::kAttentionMix,
                   .name = "mix",
                   .inputs = {5, 3},
                   .output = image,
                   .heads = kHeads,
                   .kv_heads = kHeads},
                  conv("output", 6)}};
}

torch::Tensor pytorchs() {
  std::ifstream stream("tests/data/multi_head_attention.json");
  const auto values = nlohmann::json::parse(stream).at("output").get<std::vector<float>>();
  return torch::tensor(values).view({2, kChannels, kHeight, kWidth});
}

TEST(MultiHeadAttention, IsPyTorchs) {
  at::NoGradGuard no_grad;
  const Graph graph = attention_between_convolutions();
  ParameterStore store(graph);
  uint64_t k = 0;
  for (const Parameter& parameter : store.parameters()) {
    store.full(parameter.name).copy_(uniform(k++, parameter.shape));
  }
  ASSERT_EQ(k, 4u);
  const torch::Tensor images = uniform(9, {2, kChannels, kHeight, kWidth});
  for (const bool is_observed : {false, true}) {  // all three ops at once, and one by one
    Executor network(graph, store);
    if (is_observed) network.observe([](const Op&, const torch::Tensor&) {});
    const auto output = network.forward(images, NormMode::kRunning);
    EXPECT_LT((output - pytorchs()).abs().max().item<double>(), 2e-6);
  }
}

// The same for every size of tile, with the gradients.
TEST(MultiHeadAttention, InTilesIsThePlainForm) {
  const auto image = [](uint64_t k) {
    return uniform(k, {2, kChannels, kHeight, kWidth})
        .contiguous(torch::MemoryFormat::ChannelsLast)
        .requires_grad_(true);
  };
  const std::vector<torch::Tensor> inputs{image(1), image(2), image(3)};
  const Shape shape{kChannels, kHeight, kWidth};
  const torch::Tensor upstream = uniform(4, {2, kChannels, kHeight, kWidth});
  const auto run = [&](int64_t tile) {
    const auto output = attention(inputs[0], inputs[1], inputs[2], shape, kHeads, tile);
    auto values = torch::autograd::grad({output}, inputs, {upstream});
    values.push_back(output.detach());
    return values;
  };
  const auto whole = run(1000000);
  for (const int64_t tile : {2 * 15 * 15, 7 * 15, 1}) {
    const auto tiled = run(tile);
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT_TRUE(torch::allclose(tiled[i], whole[i], 1e-4, 1e-5)) << tile << ' ' << i;
    }
  }
}

// The keys of multi-query attention are those of the first head of multi-head attention: a slice,
// as of any choice of widths.
TEST(MultiHeadAttention, SharesItsFirstHeadWithMultiQueryAttention) {
  at::NoGradGuard no_grad;
  const SearchSpace space = search_space_from_yaml(R"(
name: heads
resolution: 8
channels: 1
classes: 3
stem: {kernel: 3, stride: 1, width: 8}
stages:
  - {block: uib, stride: 2, width: 8, depth: 1, expansion: 1, kernel1: 0, kernel2: 3,
     attention: [{heads: 2, key_dim: 4, value_dim: 6, kv_stride: 1},
                 {heads: 2, key_dim: 4, value_dim: 6, kv_stride: 1, kv_heads: 2}]}
head: {width: 8, features: 8}
)",
                                                   "heads.yaml");
  ParameterStore shared(space);
  fill(shared);
  EXPECT_EQ(search_space_from_yaml(to_yaml(space), "again.yaml"), space);
  const std::string key = "blocks.0.0.mqa.attn.key.proj.weight";
  EXPECT_EQ(shared.full(key).sizes().vec(), (std::vector<int64_t>{2 * 4, 8, 1, 1}));
  const torch::Tensor images = uniform(5, {2, 1, 8, 8});
  for (const BlendedArchitecture& member : covering(space)) {
    const auto attention = std::get<MobileMqa>(member.architecture.stages[0][1]);
    const torch::Tensor before = Executor(lower(member), shared).forward(images, NormMode::kBatch);
    // Another second head changes what multi-head attention gives alone.
    const torch::Tensor second = shared.full(key).narrow(0, 4, 4);
    const torch::Tensor kept = second.clone();
    second.mul_(-1);
    const torch::Tensor after = Executor(lower(member), shared).forward(images, NormMode::kBatch);
    second.copy_(kept);
    EXPECT_EQ(torch::equal(before, after), attention.kv_heads == 1);
  }
}

}  // namespace
}  // namespace ridgewalk
