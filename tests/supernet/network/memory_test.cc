// Bytes counted by hand.
#include "supernet/network/memory.h"

#include <gtest/gtest.h>

#include "space/architecture.h"
#include "space/compact.h"
#include "space/decisions.h"
#include "space/lowering.h"
#include "supernet/network/parameters.h"

namespace ridgewalk {
namespace {

// 16 values -> convolution, norm and ReLU of 32 values each -> pointwise convolution to 16 values.
Graph small_graph() {
  Graph graph;
  graph.name = "small";
  graph.ops = {
      {.kind = OpKind::kInput, .name = "image", .output = {1, 4, 4}},
      {.kind = OpKind::kConv, .name = "conv", .inputs = {0}, .output = {2, 4, 4}, .kernel = 3},
      {.kind = OpKind::kNorm, .name = "norm", .inputs = {1}, .output = {2, 4, 4}},
      {.kind = OpKind::kActivation,
       .name = "act",
       .inputs = {2},
       .output = {2, 4, 4},
       .activation = Activation::kRelu},
      {.kind = OpKind::kConv, .name = "head", .inputs = {3}, .output = {1, 4, 4}}};
  return graph;
}

constexpr double kWeights = 4 * (2 * 9 + 4 * 2 + 2);  // bytes; a norm has four vectors

TEST(Memory, OfInferenceIsThatOfTheValuesAliveAtOnce) {
  const MemoryNeed need = inference_memory(small_graph(), 5);
  EXPECT_EQ(need.weights, kWeights);
  EXPECT_EQ(need.activations, 5 * 4 * (32 + 32));  // the norm beside the convolution that it reads
  EXPECT_EQ(need.attention_scores, 0);
}

// The last of the small graph's values is its output, fp32 also beside bf16.
TEST(Memory, OfCompiledInferenceHasTheActivationsOfTheRoofline) {
  EXPECT_EQ(compiled_memory(small_graph(), 1).activations, 4 * (16 + 32));
  EXPECT_EQ(compiled_memory(small_graph(), 1, DataType::kBf16).activations, 2 * 32 + 4 * 16);
  EXPECT_EQ(compiled_memory(small_graph(), 5).activations, 5 * 4 * (16 + 32));
}

TEST(Memory, OfTrainingIsThatOfTheValuesAndGradientsAliveAtOnce) {
  Graph graph = small_graph();
  const MemoryNeed need = training_memory(graph, 3);
  EXPECT_EQ(need.weights, 4 * kWeights);
  // The image, the convolution, which the norm and its ReLU are read through, and the gradients of
  // both convolutions, when that of the last is used.
  EXPECT_EQ(need.activations, 3 * 4 * (16 + 32 + 32 + 16));
  graph.ops[3].activation = Activation::kSilu;  // has values and a gradient of its own
  EXPECT_EQ(training_memory(graph, 3).activations, 3 * 4 * (16 + 32 + 32 + 32 + 16));
  // A norm whose input is read by others, too, is LibTorch's, which keeps its input and output. The
  // sum needs neither, and has a gradient when those of the two others begin.
  graph.ops[3] = {.kind = OpKind::kAdd, .name = "add", .inputs = {2, 1}, .output = {2, 4, 4}};
  EXPECT_EQ(training_memory(graph, 3).activations, 3 * 4 * (16 + (32 + 32) + (32 + 32 + 32)));
}

// Kept are the image, the convolution that the norm reads, and what the ReLU gives; each as it is,
// rounded and for its gradient. The weights are rounded, too.
TEST(Memory, OfRoundedTrainingHasEachValueThreeTimes) {
  const MemoryNeed need = rounded_training_memory(small_graph(), 3);
  EXPECT_EQ(need.weights, 5 * kWeights);
  EXPECT_EQ(need.activations, 3 * 3 * 4 * (16 + 32 + 32));
}

// Lanes share the weights and have activations of their own.
TEST(Memory, OfLanesGrowsWithTheirActivations) {
  const MemoryNeed one = training_memory(small_graph(), 3), three = side_by_side(one, 3);
  EXPECT_EQ(three.weights, one.weights);
  EXPECT_EQ(three.activations, 3 * one.activations);
}

// 128 x 128 positions, 16 heads: a map of 2^32 scores, of which tiles of 2^24 are held, and as many
// of their softmax; in training also their gradients. Of 32 x 32 positions all 2^24.
TEST(Memory, OfAttentionIsThatOfItsTiles) {
  CompactPlan plan{.base = 16, .n1 = 0, .n2 = 0, .n3 = 0, .heads = 16};
  Architecture architecture{.name = "custom", .resolution = 128};
  apply(plan, architecture);
  const Graph graph = lower(architecture);
  EXPECT_EQ(compiled_memory(graph, 1).attention_scores, 2 * 4 * 0x1p24);
  EXPECT_EQ(inference_memory(graph, 1).attention_scores, 2 * 4 * 0x1p24);
  EXPECT_EQ(training_memory(graph, 1).attention_scores, 4 * 4 * 0x1p24);
  EXPECT_LT(training_memory(graph, 1).activations, 0x1p30);
  architecture.resolution = 32;
  EXPECT_EQ(compiled_memory(lower(architecture), 1).attention_scores, 2 * 4 * 0x1p24);
  // A training pass holds both maps: those of attention are LibTorch's.
  EXPECT_EQ(training_memory(lower(architecture), 1).attention_scores, 2 * 4 * 0x1p24);
}

// Shared weights hold every parameter at its widest once, so as many as the store has; no member of
// the space takes more for a step than its widest networks.
TEST(Memory, OfASupernetHoldsTheStepOfEveryMember) {
  const SearchSpace space = load_search_space("fashion-mnist");
  double elements = 0;
  const ParameterStore store(space);
  for (const Parameter& parameter : store.parameters()) {
    elements += double(parameter.elements());
  }
  const MemoryNeed need = supernet_memory(space, 8, 16);
  EXPECT_EQ(need.weights, 4 * 4 * elements);
  EXPECT_EQ(supernet_memory(space, 8, 16, 4, true).weights, 5 * 4 * elements);
  std::mt19937_64 random(1);
  for (int i = 0; i < 300; ++i) {
    const Graph graph = lower(decode(space, sample(space, random)));
    EXPECT_LE(training_memory(graph, 8).activations, need.activations);
    EXPECT_LE(inference_memory(graph, 16).activations, need.activations);
  }
}

}  // namespace
}  // namespace ridgewalk
