// Shared weights from those of a network, and the other way round.
#include "supernet/formats/slices.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "space/catalog.h"
#include "space/decisions.h"
#include "space/error.h"
#include "space/lowering.h"
#include "supernet/network/executor.h"
#include "tests/folder_test.h"
#include "tests/formula_weights.h"
#include "tests/grouped_network.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

// Every name of a network, with a tensor of its shape.
NamedWeights named(const Graph& graph, const ParameterStore& store) {
  NamedWeights weights;
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    for (const Parameter& parameter : parameters(graph, int(i))) {
      weights.tensors.emplace(parameter.name, store.full(parameter.name));
    }
  }
  return weights;
}

// The lowering gives each op both names; here they are told from names and shapes alone.
TEST(Slices, HaveTheNamesThatLoweringGives) {
  for (const char* name :
       {"mnv4-conv-small", "mnv4-conv-large", "mnv4-hybrid-medium", "mnv4-hybrid-large"}) {
    const Architecture architecture = find_architecture(name);
    const Graph own = lower(architecture), shared = lower(architecture, Naming::kShared);
    ASSERT_EQ(own.ops.size(), shared.ops.size());
    const auto names = shared_names(named(own, ParameterStore(own)));
    int differing = 0;
    for (size_t i = 0; i < own.ops.size(); ++i) {
      const auto from = parameters(own, int(i)), to = parameters(shared, int(i));
      for (size_t p = 0; p < from.size(); ++p) {
        EXPECT_EQ(names.at(from[p].name), to[p].name);
        differing += from[p].name != to[p].name;
      }
    }
    EXPECT_GT(differing, 10) << name;
  }
}

// A member's weights put into the shared ones, read from there again, are the same network.
TEST(Slices, OfAMemberGoThereAndBack) {
  at::NoGradGuard no_grad;
  const SearchSpace space = load_search_space("fashion-mnist");
  std::mt19937_64 random(5);
  for (int i = 0; i < 20; ++i) {
    const Architecture member = decode(space, sample(space, random));
    const Graph graph = lower(member);
    ParameterStore own(graph), back(graph), shared(space);
    own.initialize(uint64_t(i) + 1);
    back.initialize(99);
    shared.initialize(7);
    const SlicesTaken taken = take_slices(named(graph, own), "weights", true, shared);
    int64_t tensors = 0;
    for (const Parameter& parameter : own.parameters()) tensors += is_learned(parameter.role);
    EXPECT_EQ(taken.tensors, tensors);
    EXPECT_EQ(taken.elements, parameter_count(graph));
    copy_slices(shared, space, member, back);
    const auto images = torch::rand({2, 1, 28, 28});
    EXPECT_TRUE(Executor(graph, back)
                    .forward(images, NormMode::kBatch)
                    .equal(Executor(graph, own).forward(images, NormMode::kBatch)));
    // The network's slices of the shared weights compute the same.
    const Graph sliced = lower(member, Naming::kShared);
    EXPECT_TRUE(Executor(sliced, shared)
                    .forward(images, NormMode::kBatch)
                    .equal(Executor(graph, own).forward(images, NormMode::kBatch)));
  }
}

// A member of blocks with weights of their own leaves as a network that computes the same.
TEST(Slices, OfBlocksWithWeightsOfTheirOwnAreCopied) {
  at::NoGradGuard no_grad;
  SearchSpace space = load_search_space("fashion-mnist");
  space.sharing = WeightSharing::kBlocks;
  ParameterStore shared(space);
  shared.initialize(7);
  std::mt19937_64 random(6);
  for (int i = 0; i < 20; ++i) {
    const Decisions decisions = sample(space, random);
    const Architecture member = decode(space, decisions);
    ParameterStore own(lower(member));
    copy_slices(shared, space, member, own);
    const auto images = torch::rand({2, 1, 28, 28});
    EXPECT_TRUE(Executor(lower(member), own)
                    .forward(images, NormMode::kBatch)
                    .equal(Executor(lower(decode_blended(space, decisions)), shared)
                               .forward(images, NormMode::kBatch)));
  }
}

// A published network is wider here, narrower there, and has other kernels.
TEST(Slices, OfAnotherNetworkAreWhatBothHave) {
  const SearchSpace space = load_search_space("mobile");
  const Graph graph = lower(find_architecture("mnv4-conv-small"));
  ParameterStore own(graph), shared(space);
  fill(own);
  shared.initialize(3);
  const torch::Tensor before = shared.values().clone();
  const SlicesTaken taken = take_slices(named(graph, own), "weights", false, shared);
  EXPECT_GT(taken.tensors, 0);
  EXPECT_LT(taken.elements, taken.of_elements);
  const torch::Tensor stem = shared.full("conv_stem.weight"), theirs = own.full("conv_stem.weight");
  const int64_t width = std::min(stem.size(0), theirs.size(0));
  EXPECT_TRUE(stem.narrow(0, 0, width).equal(theirs.narrow(0, 0, width)));
  // What was not taken is as it was.
  EXPECT_LE(shared.values().ne(before).sum().item<int64_t>(), taken.elements);
  EXPECT_FALSE(shared.full("classifier.weight").sum().equal(torch::zeros({})));
}

using SlicesFile = FolderTest;

TEST_F(SlicesFile, RefusesWhatDoesNotFit) {
  const SearchSpace space = load_search_space("fashion-mnist");
  ParameterStore shared(space);
  const auto refusal = [&](const NamedWeights& weights) {
    try {
      take_slices(weights, "w.safetensors", true, shared);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(refusal({}), HasSubstr("w.safetensors: has no tensor that the space has, too"));
  EXPECT_THAT(refusal({.tensors = {{"layer1.weight", torch::ones({3})}}}), HasSubstr("no tensor"));
  EXPECT_THAT(refusal({.tensors = {{"blocks.0", torch::ones({3})},
                                   {"blocks.x.0.conv.weight", torch::ones({3})},
                                   {"blocks.99999999999999999999.0.a", torch::ones({3})},
                                   {"blocks.0.-1.pw_exp.conv.weight", torch::ones({3})},
                                   {"blocks.1.0.dw_mid.conv.weight", torch::ones({3})}}}),
              HasSubstr("no tensor"));
  EXPECT_THAT(refusal({.tensors = {{"bn1.weight", torch::full({4}, NAN)}}}),
              HasSubstr("tensor 'bn1.weight' holds what weights cannot be"));
  EXPECT_THAT(refusal({.tensors = {{"bn1.weight", torch::ones({4}, torch::kLong)}}}),
              HasSubstr("tensor 'bn1.weight' holds what weights cannot be"));
  EXPECT_EQ(refusal({.tensors = {{"bn1.weight", torch::ones({1})}}}), "");
}

TEST(Slices, AreNotOfConvolutionsInGroups) {
  const auto take = [](const Architecture& architecture) {
    const Graph graph = lower(architecture);
    ParameterStore shared(load_search_space("mobile"));
    return take_slices(named(graph, ParameterStore(graph)), "w.safetensors", false, shared);
  };
  expect_error([&] { take(grouped_network()); }, "w.safetensors",
               "'blocks.2.1.pw_proj.conv.weight' is of a convolution in groups", "without groups");
  EXPECT_GT(take(without_groups(grouped_network())).tensors, 0);
}

}  // namespace
}  // namespace ridgewalk
