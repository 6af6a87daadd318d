#include "supernet/network/parameters.h"

#include <cmath>
#include <cstdio>
#include <random>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "space/catalog.h"
#include "space/derived_spaces.h"
#include "space/lowering.h"
#include "supernet/network/executor.h"

namespace ridgewalk {
namespace {

SearchSpace space() { return load_search_space("fashion-mnist"); }

TEST(ParameterStore, SlicesAreViewsOfTheFirstChannels) {
  ParameterStore store(space());
  store.initialize(1);
  const auto full = store.full("blocks.1.0.pw_exp.conv.weight");
  const std::vector<int64_t> shape{full.size(0) / 2, full.size(1) / 2, 1, 1};
  const auto slice = store.slice("blocks.1.0.pw_exp.conv.weight", shape);
  EXPECT_EQ(slice.sizes().vec(), shape);
  EXPECT_TRUE(slice.is_alias_of(store.values()));
  EXPECT_TRUE(torch::equal(slice, full.narrow(0, 0, shape[0]).narrow(1, 0, shape[1])));
}

TEST(ParameterStore, RefusesUnknownNamesAndLargerShapes) {
  ParameterStore store(space());
  EXPECT_THROW(store.slice("blocks.9.0.conv.weight", {1}), std::out_of_range);
  EXPECT_THROW(store.slice("conv_stem.weight", {1024, 1, 3, 3}), std::out_of_range);
}

TEST(ParameterStore, KeepsADepthwiseTensorAndANormForEachKernel) {
  ParameterStore store(space());
  EXPECT_EQ(store.full("blocks.1.1.dw_mid.k3.conv.weight").size(2), 3);
  EXPECT_EQ(store.full("blocks.1.1.dw_mid.k5.conv.weight").size(2), 5);
  EXPECT_EQ(store.full("blocks.1.1.dw_mid.k3.bn.weight").dim(), 1);
  EXPECT_EQ(store.full("blocks.1.1.dw_mid.k5.bn.weight").dim(), 1);
}

// One UIB whose expansion and kernel are choices, and two widths: four sets of weights, counted by
// hand (expansion 8 to 16 or 32, depthwise, projection to 16, with the norm of each), of which two
// widths of one block share the first channels.
TEST(ParameterStore, HasWeightsForEachCombinationOfABlockWhereTheseShareNone) {
  const SearchSpace space = search_space_from_yaml(R"(
name: own
resolution: 8
channels: 1
classes: 2
stem: {kernel: 3, stride: 1, width: 8}
stages:
  - {block: uib, stride: 1, width: [12, 16], depth: 1, expansion: [2, 4], kernel1: 0, kernel2: [3, 5]}
head: {width: 16, features: 0}
sharing: blocks
)",
                                                   "own.yaml");
  int64_t expected = 0;
  for (const int64_t expanded : {16, 32}) {
    for (const int64_t kernel : {3, 5}) {
      expected += 8 * expanded + 2 * expanded;
      expected += kernel * kernel * expanded + 2 * expanded;
      expected += expanded * 16 + 2 * 16;
    }
  }
  const int64_t stem = 9 * 8 + 2 * 8, head = 16 * 16 + 2 * 16 + 16 * 2 + 2;
  ParameterStore store(space);
  EXPECT_EQ(store.learned(), stem + expected + head);
  EXPECT_NEAR(share_in_common(space), double(stem + head) / double(stem + expected + head), 1e-12);

  const auto slice_of = [&](int width, int expansion, int kernel) {
    Decisions decisions(size_t(choice_layout(space).count), 0);
    const StageChoices stage = choice_layout(space).stages[0];
    decisions[stage.width] = width;
    decisions[stage.blocks[0].expansion] = expansion;
    decisions[stage.blocks[0].kernel2] = kernel;
    const Graph graph = lower(decode_blended(space, decisions));
    for (int i = 0; i < std::ssize(graph.ops); ++i) {
      for (const Parameter& parameter : parameters(graph, i)) {
        if (parameter.name.ends_with("pw_proj.conv.weight")) {
          return store.slice(parameter.name, parameter.shape);
        }
      }
    }
    return torch::Tensor();
  };
  const torch::Tensor narrow = slice_of(0, 1, 0), wide = slice_of(1, 1, 0);
  EXPECT_EQ(narrow.data_ptr(), wide.data_ptr());
  EXPECT_EQ(wide.sizes().vec(), (std::vector<int64_t>{16, 32, 1, 1}));
  EXPECT_NE(slice_of(1, 0, 0).data_ptr(), wide.data_ptr());
  EXPECT_NE(slice_of(1, 1, 1).data_ptr(), wide.data_ptr());
}

TEST(ParameterStore, GradientsOfSlicesLandInTheirPlaceAndNowhereElse) {
  ParameterStore store(space());
  store.initialize(1);
  const auto small = store.slice("classifier.weight", {10, 4});
  (small * 3).sum().backward();
  (small * 2).sum().backward();
  store.collect_gradients({small});
  EXPECT_EQ(store.grads().sum().item<double>(), 10 * 4 * 5);
  EXPECT_EQ(store.grads().eq(5).sum().item<int64_t>(), 40);
}

TEST(ParameterStore, InitialisationDependsOnSeedAndNameAlone) {
  ParameterStore one(space()), other(space());
  one.initialize(7);
  other.initialize(7);
  EXPECT_TRUE(torch::equal(one.values(), other.values()));
  other.initialize(8);
  EXPECT_FALSE(torch::equal(one.values(), other.values()));
}

// The rule of weight sharing: a sampled architecture computes what a stand-alone network with the
// same weights computes, for every option of every block.
TEST(ParameterStore, SampledArchitectureEqualsTheStandAloneNetworkWithTheSameWeights) {
  at::NoGradGuard no_grad;
  at::set_num_threads(2);
  const SearchSpace all = space();
  ParameterStore shared(all);
  shared.initialize(3);
  std::mt19937_64 random(5);
  const auto images = torch::rand({4, 1, 28, 28}).contiguous(torch::MemoryFormat::ChannelsLast);
  for (int i = 0; i < 20; ++i) {
    const Architecture architecture = decode(all, sample(all, random));
    const Graph own = lower(architecture);
    const Graph same = lower(architecture, Naming::kShared);
    ParameterStore exact(own);
    for (size_t op = 0; op < own.ops.size(); ++op) {
      const auto own_parameters = parameters(own, int(op));
      const auto shared_parameters = parameters(same, int(op));
      for (size_t p = 0; p < own_parameters.size(); ++p) {
        exact.full(own_parameters[p].name)
            .copy_(shared.slice(shared_parameters[p].name, shared_parameters[p].shape));
      }
    }
    const auto a = Executor(same, shared).forward(images, NormMode::kBatch);
    const auto b = Executor(own, exact).forward(images, NormMode::kBatch);
    EXPECT_TRUE(torch::allclose(a, b, 1e-4, 1e-4)) << i;
  }
}

TEST(ParameterStore, WarmStartCopiesTheCommonPrefix) {
  const SearchSpace all = space();
  const SearchSpace coarse = coarse_space(all);
  std::mt19937_64 random(2);
  const SearchSpace fine = fine_space(all, decode(coarse, sample(coarse, random)));
  ParameterStore before(coarse), after(fine);
  before.initialize(1);
  after.initialize(2);
  after.copy_common(before);
  const auto to = after.full("blocks.1.0.pw_proj.conv.weight");
  const auto from = before.full("blocks.1.0.pw_proj.conv.weight");
  EXPECT_TRUE(torch::equal(to, from.narrow(0, 0, to.size(0)).narrow(1, 0, to.size(1))));
}

// timm 1.0.15, _efficientnet_builder.py: N(0, sqrt(2 / (k^2 out))) for convolutions, over the
// groups for depthwise ones; attention's Xavier uniform; the classifier uniform within 1 /
// sqrt(classes).
TEST(Initialization, IsTimmsForEveryKindOfWeight) {
  Architecture a = find_architecture("mnv4-hybrid-medium");
  a.channels = 1;  // a dense stem whose filters look depthwise
  ParameterStore store(lower(a));
  store.initialize(3);
  const auto deviation = [&](const char* name) { return store.full(name).std().item<double>(); };
  const auto expect = [&](const char* name, double expected) {
    EXPECT_NEAR(deviation(name) / expected, 1, 0.15) << name;
  };
  expect("conv_stem.weight", std::sqrt(2 / (9.0 * 32)));
  expect("blocks.0.0.conv_exp.weight", std::sqrt(2 / (9.0 * 128)));
  expect("blocks.1.0.dw_start.conv.weight", std::sqrt(2 / 9.0));
  expect("blocks.1.0.dw_mid.conv.weight", std::sqrt(2 / 25.0));
  expect("blocks.1.0.pw_exp.conv.weight", std::sqrt(2 / 192.0));
  expect("blocks.2.4.attn.query.proj.weight", std::sqrt(2.0 / (160 + 256)));
  expect("classifier.weight", 1 / std::sqrt(3.0 * 1000));
  EXPECT_EQ(store.full("classifier.bias").abs().max().item<float>(), 0);
  EXPECT_EQ(store.full("bn1.weight").min().item<float>(), 1);
}

// Standard deviation of the logits of a fresh network in evaluation mode. With the released
// initialisation it is 2.7e-16 (timm 1.0.15): numerically dead.
TEST(Initialization, ReleasedHybridsAreDeadInEvaluationAndOursAlive) {
  at::NoGradGuard no_grad;
  at::set_num_threads(2);
  const Graph graph = lower(find_architecture("mnv4-hybrid-medium"));
  ParameterStore store(graph);
  const Executor network(graph, store);
  at::manual_seed(1);
  const auto images = torch::randn({2, 3, 256, 256});
  const auto deviation = [&](Initialization initialization) {
    store.initialize(1, initialization);
    return network.forward(images, NormMode::kRunning).std().item<double>();
  };
  const double released = deviation(Initialization::kReleased);
  const double residual = deviation(Initialization::kResidual);
  std::printf("standard deviation of fresh logits: released %.2g, residual %.2g\n", released,
              residual);
  EXPECT_LT(released, 1e-14);
  EXPECT_GT(residual, 1e-2);
  EXPECT_LT(residual, 1e5);
}

// MobileNetV4, section 4: the instantiations share more than 95 % of the parameters. Reported for
// the fine stage of the published-scale space from its largest coarse result.
TEST(ShareInCommon, ExceedsNinetyFivePercentInTheFineStageAtPublishedScale) {
  const SearchSpace mobile = load_search_space("mobile");
  const SearchSpace coarse = coarse_space(mobile);
  EXPECT_GT(share_in_common(fine_space(mobile, covering(coarse)[0].architecture)), 0.95);
}

// One block counted by hand: 3x3 and 5x5 depthwise before (8 channels) and after (32) the
// expansion.
TEST(ShareInCommon, CountsDepthwiseConvolutionsAndTheirNormsAsOptions) {
  const SearchSpace tiny = search_space_from_yaml(R"(
name: tiny
resolution: 8
channels: 1
classes: 2
stem: {kernel: 3, stride: 1, width: 8}
stages:
  - {block: uib, stride: 1, width: 8, depth: 1, expansion: 4, kernel1: [0, 3, 5], kernel2: [0, 3, 5]}
head: {width: 16, features: 16}
)",
                                                  "tiny");
  const double options = (9 + 25) * 8 + 2 * 2 * 8 + (9 + 25) * 32 + 2 * 2 * 32;
  const double stem = 9 * 8 + 2 * 8;
  const double pointwise = 8 * 32 + 2 * 32 + 32 * 8 + 2 * 8;
  const double head = 8 * 16 + 2 * 16 + 16 * 16 + 2 * 16 + 16 * 2 + 2;
  const double common = stem + pointwise + head;
  EXPECT_DOUBLE_EQ(share_in_common(tiny), common / (common + options));
}

}  // namespace
}  // namespace ridgewalk
