// Attention in tiles against the plain form, and how much memory it takes.
#include "supernet/network/attention.h"

#include <sys/resource.h>

#include <cmath>

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "space/catalog.h"
#include "space/lowering.h"
#include "supernet/network/executor.h"
#include "tests/formula_weights.h"

namespace ridgewalk {
namespace {

struct Heads {
  torch::Tensor query, key, value;
  Shape output;
};

// `heads` query heads over side x side positions; keys of half as many in each direction.
Heads random_heads(int64_t images, int heads, int side, int64_t key_dim, int64_t value_dim) {
  const auto of = [&](int64_t channels, int64_t size) {
    return torch::randn({images, channels, size, size})
        .contiguous(torch::MemoryFormat::ChannelsLast)
        .requires_grad_(true);
  };
  return {of(heads * key_dim, side), of(key_dim, side / 2), of(value_dim, side / 2),
          Shape{int(heads * value_dim), side, side}};
}

// By the definition, with one matrix of scores for each head.
torch::Tensor by_definition(const Heads& h, int heads) {
  const int64_t images = h.query.size(0), key_dim = h.key.size(1), value_dim = h.value.size(1);
  const auto query = h.query.flatten(2).view({images, heads, key_dim, -1}).transpose(2, 3);
  const auto key = h.key.flatten(2).unsqueeze(1);  // [N, 1, d, M]
  const auto value = h.value.flatten(2).unsqueeze(1).transpose(2, 3);
  const auto weights =
      torch::softmax(torch::matmul(query, key) / std::sqrt(double(key_dim)), -1);  // [N, h, P, M]
  return torch::matmul(weights, value)
      .transpose(2, 3)
      .reshape({images, heads * value_dim, h.output.height, h.output.width});
}

// Whole images, parts of one with a rest, and single rows: with the gradients of all three inputs.
TEST(Attention, InTilesIsThePlainForm) {
  torch::manual_seed(1);
  const int heads = 3;
  const Heads h = random_heads(5, heads, 6, 4, 7);  // 108 rows of 9 scores in each image
  const torch::Tensor upstream = torch::randn({5, heads * 7, 6, 6});
  const std::vector<torch::Tensor> inputs{h.query, h.key, h.value};
  const torch::Tensor expected = by_definition(h, heads);
  const auto gradients = torch::autograd::grad({expected}, inputs, {upstream});
  for (int64_t tile : {100000, 2 * 108 * 9, 50 * 9, 1}) {
    const torch::Tensor output = attention(h.query, h.key, h.value, h.output, 1, tile);
    EXPECT_TRUE(torch::allclose(output, expected, 1e-5, 1e-6)) << tile;
    const auto given = torch::autograd::grad({output}, inputs, {upstream});
    for (size_t i = 0; i < inputs.size(); ++i) {
      EXPECT_TRUE(torch::allclose(given[i], gradients[i], 1e-4, 1e-5)) << tile << ' ' << i;
    }
  }
}

TEST(Attention, ATileIsRowsOfOneImageOrWholeImages) {
  const auto tile = [](int64_t images, int64_t rows, int64_t keys, int64_t most) {
    const AttentionTile t = attention_tile(images, rows, keys, most);
    return std::pair(t.images, t.rows);
  };
  EXPECT_EQ(tile(8, 100, 10, 100000), std::pair(int64_t{8}, int64_t{100}));
  EXPECT_EQ(tile(8, 100, 10, 2500), std::pair(int64_t{2}, int64_t{100}));
  EXPECT_EQ(tile(8, 100, 10, 999), std::pair(int64_t{1}, int64_t{99}));
  EXPECT_EQ(tile(8, 100, 10, 5), std::pair(int64_t{1}, int64_t{1}));
}

int64_t most_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} << 10;
}

// 131072 rows of 3136 scores take 1.6 GB; the plain form holds three such maps in training, 4.9 GB.
TEST(Attention, OfALargeMapTakesTheMemoryOfItsTiles) {
  torch::manual_seed(2);
  const int heads = 8;
  const Heads given = random_heads(1, heads, 128, 2, 2);
  const auto keys = [] {
    return torch::randn({1, 2, 56, 56})
        .contiguous(torch::MemoryFormat::ChannelsLast)
        .requires_grad_(true);
  };
  const Heads h{given.query, keys(), keys(), given.output};
  const int64_t before = most_memory();
  const torch::Tensor output = attention(h.query, h.key, h.value, h.output, 1);
  output.sum().backward();
  EXPECT_LT(most_memory() - before, int64_t{1} << 30);
  // Some rows, by the definition in double.
  at::NoGradGuard no_grad;
  const auto key = h.key.flatten(2)[0].to(torch::kDouble);
  const auto value = h.value.flatten(2)[0].to(torch::kDouble);
  for (const auto& [head, row, column] : {std::tuple(0, 0, 0), {3, 77, 5}, {7, 127, 127}}) {
    const auto query = h.query[0].narrow(0, 2 * head, 2).select(2, column).select(1, row);
    const auto weights =
        torch::softmax(torch::matmul(query.to(torch::kDouble), key) / std::sqrt(2.0), -1);
    const auto expected = torch::mv(value, weights).to(torch::kFloat);
    const auto own = output[0].narrow(0, 2 * head, 2).select(2, column).select(1, row);
    EXPECT_TRUE(torch::allclose(own, expected, 1e-4, 1e-5));
  }
}

// With an observer the executor computes the three ops of an attention one by one.
TEST(Attention, OfTheExecutorIsThatOfItsOps) {
  at::NoGradGuard no_grad;
  Architecture architecture = find_architecture("mnv4-hybrid-medium");
  architecture.resolution = 96;
  const Graph graph = lower(architecture);
  ParameterStore store(graph);
  fill(store);
  const auto images = torch::randn({2, 3, 96, 96});
  Executor observed(graph, store);
  int maps = 0;
  observed.observe([&](const Op& op, const torch::Tensor& output) {
    maps += op.kind == OpKind::kSoftmax && output.defined();
  });
  const auto expected = observed.forward(images, NormMode::kRunning);
  EXPECT_EQ(maps, 8);
  const auto logits = Executor(graph, store).forward(images, NormMode::kRunning);
  EXPECT_TRUE(torch::allclose(logits, expected, 1e-5, 1e-5));
}

}  // namespace
}  // namespace ridgewalk
