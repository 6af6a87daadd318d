#include <gtest/gtest.h>

#include "space/lowering.h"
#include "supernet/quantization/quantized_executor.h"
#include "tests/helpers.h"
#include "tests/supernet/quantization/small_quantized.h"
#include "tests/supernet/training/short_training.h"
#include "tests/tiny_dataset.h"

namespace ridgewalk {
namespace {

class QuantizationAwareTraining : public TinyDataset {
 protected:
  static void SetUpTestSuite() {
    TinyDataset::SetUpTestSuite();
    at::set_num_threads(1);
    Architecture network{.name = "small", .resolution = 28, .channels = 1, .classes = 10};
    network.stem.width = 8;
    network.stages = {{Uib{.kernel1 = 3, .kernel2 = 3, .expanded = 16, .width = 8, .stride = 2},
                       Uib{.kernel1 = 0, .kernel2 = 3, .expanded = 16, .width = 8}}};
    network.head = {.width = 16, .features = 24};
    Trainer trainer(network, data_, options(), {});
    while (trainer.step() < trainer.steps()) trainer.advance();
    folded_.emplace(fold_norms(trainer.network().graph(), trainer.parameters()));
    folded_->provenance = trainer.provenance();
    std::vector<int64_t> some(100);
    for (size_t n = 0; n < some.size(); ++n) some[n] = int64_t(n);
    images_ = make_evaluation_batch(data_, data_.train, some).images;
  }
  static TrainOptions options() {
    TrainOptions options = short_training(0.01);
    options.ema = 0.9;
    return options;
  }
  static QuantizationAware aware(ScaleRule rule) {
    return {.folded = *folded_,
            .simulation = {.start = quantize(*folded_, ranges_of(*folded_, images_)).quantized,
                           .rule = rule}};
  }
  static void advance(Trainer& trainer, int steps) {
    for (int i = 0; i < steps; ++i) trainer.advance();
  }
  static NamedTensors copies(const Trainer& trainer) {
    NamedTensors state;
    for (const auto& [name, tensor] : trainer.state()) state.emplace_back(name, tensor.clone());
    return state;
  }
  static void expect_same(const Trainer& a, const Trainer& b) {
    const NamedTensors one = a.state(), other = b.state();
    ASSERT_EQ(one.size(), other.size());
    for (size_t i = 0; i < one.size(); ++i) {
      EXPECT_TRUE(torch::equal(one[i].second, other[i].second)) << one[i].first;
    }
  }

  static inline std::optional<Network> folded_;
  static inline torch::Tensor images_;
};

TEST_F(QuantizationAwareTraining, RepeatsItselfBitForBitAfterAResume) {
  for (ScaleRule rule : kValues<ScaleRule>) {
    Trainer whole(aware(rule), data_, options(), {});
    ASSERT_EQ(whole.steps(), 20);
    advance(whole, 12);  // observed scales are frozen from the 10th step on
    for (int stop : {3, 11}) {
      Trainer first(aware(rule), data_, options(), {});
      advance(first, stop);
      Trainer second(aware(rule), data_, options(), {});
      second.set_step(stop);
      restore(second.state(), {.metadata = {}, .tensors = copies(first)}, "checkpoint");
      advance(second, 12 - stop);
      expect_same(second, whole);
    }
  }
}

TEST_F(QuantizationAwareTraining, InShardsGivesTheSameBitsInAnyLanes) {
  for (ScaleRule rule : kValues<ScaleRule>) {
    TrainOptions sharded = options();
    sharded.shards = 2;
    Trainer alone(aware(rule), data_, sharded, {}),
        lanes(aware(rule), data_, sharded, {.lanes = 2});
    advance(alone, 3);
    advance(lanes, 3);
    expect_same(lanes, alone);
  }
}

TEST_F(QuantizationAwareTraining, EndsWithTheNetworkThatItSimulated) {
  for (ScaleRule rule : kValues<ScaleRule>) {
    Trainer trainer(aware(rule), data_, options(), {});
    const double before = trainer.evaluate(data_.train).loss;
    advance(trainer, trainer.steps());
    EXPECT_LT(trainer.evaluate(data_.train).loss, before);
    const QuantizedNetwork result = trainer.quantized();
    const QuantizedGraph start = aware(rule).simulation.start;
    EXPECT_NE(result.quantized.values[2]->scale, start.values[2]->scale) << to_string(rule);
    EXPECT_NE(result.quantized.weights[1]->scales, start.weights[1]->scales) << to_string(rule);
    const QuantizedExecutor runs(result);
    const Accuracy simulated = trainer.evaluate(data_.test);
    const auto logits_of = [&](const torch::Tensor& images) { return runs.forward(images); };
    const Accuracy ran = evaluate(logits_of, result.quantized.graph, data_, data_.test, {}, {});
    EXPECT_NEAR(ran.top1, simulated.top1, 0.011);
  }
}

TEST_F(QuantizationAwareTraining, DecaysDepthwiseWeights) {
  const auto trained = [&](double decay) {
    TrainOptions decayed = options();
    decayed.ema = 0;
    decayed.optimizer = {.learning_rate = 0.001, .warmup = 0, .weight_decay = decay};
    Trainer trainer(aware(ScaleRule::kLsq), data_, decayed, {});
    trainer.advance();
    for (const Parameter& parameter : trainer.parameters().parameters()) {
      if (parameter.groups > 1) return trainer.parameters().full(parameter.name).clone();
    }
    return torch::Tensor();
  };
  const torch::Tensor free = trained(0), decayed = trained(10);
  EXPECT_NEAR((decayed.norm() / free.norm()).item<double>(), 1 - 0.001 * 10, 0.002);
}

TEST_F(QuantizationAwareTraining, RefusesImagesHeldOutThatTheNetworkHasLearned) {
  const Dataset other = load_dataset("idx:" + folder_, 100, 2);
  expect_error([&] { Trainer(aware(ScaleRule::kLsq), other, options(), {}); }, "held out");
}

}  // namespace
}  // namespace ridgewalk
