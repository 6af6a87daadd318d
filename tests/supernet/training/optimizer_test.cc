#include "supernet/training/optimizer.h"

#include <cmath>
#include <memory>

#include <gtest/gtest.h>
#include <torch/optim.h>

#include "space/derived_spaces.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

// One parameter, against the update rules of torch.optim.
TEST(Optimizer, AgreesWithTorch) {
  const SearchSpace space = load_search_space("fashion-mnist");
  const Graph graph = lower(covering(space)[0].architecture);
  for (OptimizerKind kind : {OptimizerKind::kSgd, OptimizerKind::kAdamW}) {
    ParameterStore store(graph);
    store.initialize(1);
    const OptimizerOptions options{
        .kind = kind, .learning_rate = 0.1, .warmup = 0, .weight_decay = 0};
    Optimizer ours(store, options);
    torch::Tensor theirs =
        store.values().narrow(0, 0, store.learned()).clone().set_requires_grad(true);
    std::unique_ptr<torch::optim::Optimizer> reference;
    if (kind == OptimizerKind::kSgd) {
      reference = std::make_unique<torch::optim::SGD>(
          std::vector<torch::Tensor>{theirs},
          torch::optim::SGDOptions(0.1).momentum(0.9).nesterov(true));
    } else {
      reference = std::make_unique<torch::optim::AdamW>(
          std::vector<torch::Tensor>{theirs},
          torch::optim::AdamWOptions(0.1).betas({0.9, 0.999}).eps(1e-8).weight_decay(0));
    }
    for (int step = 0; step < 5; ++step) {
      const auto gradient = torch::randn({store.learned()});
      store.grads().copy_(gradient);
      theirs.mutable_grad() = gradient.clone();
      const double rate = 0.1 * schedule(step, 10, 0);
      for (auto& group : reference->param_groups()) group.options().set_lr(rate);
      ours.step(step, 10);
      reference->step();
    }
    const auto values = store.values().narrow(0, 0, store.learned());
    EXPECT_TRUE(torch::allclose(values, theirs.detach(), 1e-5, 1e-6)) << int(kind);
    EXPECT_EQ(store.grads().abs().sum().item<double>(), 0);
  }
}

// A backward pass through all of every weight that leaves gradients of 0.
void use_all(ParameterStore& store) {
  std::vector<torch::Tensor> leaves;
  for (const Parameter& parameter : store.parameters()) {
    if (!is_learned(parameter.role)) continue;
    leaves.push_back(store.slice(parameter.name, parameter.shape));
    (leaves.back().sum() * 0).backward();
  }
  store.collect_gradients(leaves);
}

TEST(Optimizer, DecaysWeightsAndSparesNormsAndBiases) {
  const SearchSpace space = load_search_space("fashion-mnist");
  ParameterStore store(lower(covering(space)[0].architecture));
  store.initialize(1);
  const auto before = store.values().clone();
  Optimizer optimizer(store, {.learning_rate = 0.1, .warmup = 0, .weight_decay = 0.5});
  use_all(store);
  optimizer.step(0, 10);
  const auto after = store.values();
  EXPECT_TRUE(torch::allclose(after.narrow(0, 0, store.decayed()),
                              before.narrow(0, 0, store.decayed()) * 0.95));
  const int64_t rest = store.learned() - store.decayed();
  EXPECT_TRUE(torch::equal(after.narrow(0, store.decayed(), rest),
                           before.narrow(0, store.decayed(), rest)));
}

// A convolution and its norm: few enough values to set each gradient.
ParameterStore small_store() {
  return ParameterStore(lower(architecture_from_yaml(R"(
name: small
resolution: 8
channels: 1
classes: 2
stem: {block: conv, kernel: 1, stride: 1, width: 1}
stages: []
head: {width: 0, features: 0}
)",
                                                     "small.yaml")));
}

TEST(Optimizer, ClipsByTheNormOfAllGradients) {
  // A gradient (3, 4, 0, ...) of norm 5 becomes (1.5, 2, 0, ...) of norm 2.5; one of norm 2 stays.
  for (const auto& [clip, first, second] :
       {std::tuple(2.5, 1.5, 2.0), std::tuple(5.0, 3.0, 4.0), std::tuple(0.0, 3.0, 4.0)}) {
    ParameterStore store = small_store();
    Optimizer optimizer(store, {.learning_rate = 1, .warmup = 0, .momentum = 0, .clip_norm = clip});
    store.grads()[0] = 3;
    store.grads()[store.learned() - 1] = 4;
    optimizer.step(0, 10);
    EXPECT_FLOAT_EQ(store.values()[0].item<float>(), float(-first));
    EXPECT_FLOAT_EQ(store.values()[store.learned() - 1].item<float>(), float(-second));
  }
}

TEST(Optimizer, L2AddsTheWeightsToTheirGradients) {
  ParameterStore store = small_store();
  store.values().fill_(2);
  Optimizer optimizer(store, {.learning_rate = 1, .warmup = 0, .momentum = 0, .l2 = 0.25});
  use_all(store);
  optimizer.step(0, 10);
  EXPECT_FLOAT_EQ(store.values()[0].item<float>(), 1.5);  // 2 - 0.25 * 2
  EXPECT_FLOAT_EQ(store.values()[store.decayed()].item<float>(), 2);
}

// One step of SGD with two samples' slices, of which one is used.
TEST(Optimizer, DecaysOnlyWeightsThatTheStepUsed) {
  const SearchSpace space = load_search_space("fashion-mnist");
  for (const bool decoupled : {true, false}) {
    ParameterStore store(space);
    store.values().fill_(1);
    OptimizerOptions options{.learning_rate = 0.1, .warmup = 0, .momentum = 0};
    (decoupled ? options.weight_decay : options.l2) = 0.5;
    Optimizer optimizer(store, options);
    const std::string name = "conv_stem.weight";
    std::vector<int64_t> half = store.full(name).sizes().vec();
    half[0] /= 2;
    const torch::Tensor unused = store.slice(name, store.full(name).sizes().vec());
    const torch::Tensor slice = store.slice(name, half);
    (slice.sum() * 0).backward();
    store.collect_gradients({unused, slice});
    optimizer.step(0, 10);
    const torch::Tensor stem = store.full(name);
    EXPECT_TRUE(torch::allclose(stem.narrow(0, 0, half[0]), torch::full(half, 0.95)));
    EXPECT_TRUE(stem.narrow(0, half[0], half[0]).eq(1).all().item<bool>());
    EXPECT_EQ(store.used().sum().item<int64_t>(), slice.numel());
    EXPECT_EQ(store.values().ne(1).sum().item<int64_t>(), slice.numel());
    // Nothing is remembered of the step before.
    store.collect_gradients({unused, slice});
    optimizer.step(1, 10);
    EXPECT_EQ(store.used().sum().item<int64_t>(), 0);
  }
}

// Two steps of tf.compat.v1.train.RMSPropOptimizer by hand, gradient 2: the mean square starts at
// 1, epsilon stands under the root.
TEST(Optimizer, RmsPropIsTensorFlows) {
  ParameterStore store = small_store();
  const double rate = 0.1;
  Optimizer optimizer(store, {.kind = OptimizerKind::kRmsProp,
                              .learning_rate = rate,
                              .warmup = 0,
                              .cosine_alpha = 1,
                              .momentum = 0.9,
                              .decay = 0.9,
                              .epsilon = 1});
  const double square1 = 0.9 * 1 + 0.1 * 4;
  const double moment1 = rate * 2 / std::sqrt(square1 + 1);
  const double square2 = 0.9 * square1 + 0.1 * 4;
  const double moment2 = 0.9 * moment1 + rate * 2 / std::sqrt(square2 + 1);
  for (int step = 0; step < 2; ++step) {
    store.grads().fill_(2);
    optimizer.step(step, 10);
  }
  EXPECT_NEAR(store.values()[0].item<double>(), -moment1 - moment2, 1e-7);
}

TEST(Average, FollowsTheValuesFasterAtTheStart) {
  const torch::Tensor average = torch::tensor({1.0f});
  update_average(average, torch::tensor({2.0f}), 0.9999, 0);  // 0.1 * 1 + 0.9 * 2
  EXPECT_FLOAT_EQ(average.item<float>(), 1.9f);
  update_average(average, torch::tensor({4.0f}), 0.9999, 1);  // (2 * 1.9 + 9 * 4) / 11
  EXPECT_FLOAT_EQ(average.item<float>(), 39.8f / 11);
  update_average(average, torch::tensor({0.0f}), 0.2, 2);  // 3 / 12 > 0.2
  EXPECT_FLOAT_EQ(average.item<float>(), 0.2f * 39.8f / 11);
}

TEST(Schedule, WarmsUpThenFallsToZero) {
  EXPECT_DOUBLE_EQ(schedule(0, 100, 0.1), 0.1);
  EXPECT_DOUBLE_EQ(schedule(9, 100, 0.1), 1);
  EXPECT_DOUBLE_EQ(schedule(10, 100, 0.1), 1);
  EXPECT_NEAR(schedule(55, 100, 0.1), 0.5, 1e-9);
  EXPECT_LT(schedule(99, 100, 0.1), 0.001);
  EXPECT_NEAR(schedule(99, 100, 0.1, 0.25), 0.25, 0.001);
  EXPECT_DOUBLE_EQ(schedule(10, 100, 0.1, 0.25), 1);
  // Falls over steps 10 to 80, half-way at 45, then stays.
  EXPECT_DOUBLE_EQ(schedule(10, 100, 0.1, 0.25, 0.2), 1);
  EXPECT_NEAR(schedule(45, 100, 0.1, 0.25, 0.2), 0.625, 1e-9);
  EXPECT_NEAR(schedule(79, 100, 0.1, 0.25, 0.2), 0.25, 0.001);
  for (int step : {80, 90, 99}) EXPECT_DOUBLE_EQ(schedule(step, 100, 0.1, 0.25, 0.2), 0.25);
}

}  // namespace
}  // namespace ridgewalk
