#include "supernet/quantization/simulation.h"

#include "supernet/quantization/quantized_executor.h"
#include "tests/helpers.h"
#include "tests/supernet/formats/small_hybrid.h"
#include "tests/supernet/quantization/small_quantized.h"

namespace ridgewalk {
namespace {

// A folded network in which the quantisation of `plan` is simulated.
class Simulated {
 public:
  Simulated(const Network& folded, const SimulationPlan& plan)
      : store_(folded.graph, torch::kCPU, scale_parameters(plan)),
        executor_(folded.graph, store_),
        simulation_(at_start(folded, plan)) {
    executor_.round(simulation_);
  }

  torch::Tensor forward(const torch::Tensor& images) {
    return executor_.forward(images, NormMode::kRunning);
  }
  std::vector<torch::Tensor> values(const torch::Tensor& images) {
    std::vector<torch::Tensor> values{simulation_->value(0, images)};
    executor_.observe([&](const Op&, const torch::Tensor& value) { values.push_back(value); });
    forward(images);
    executor_.observe({});
    return values;
  }
  Simulation& simulation() { return *simulation_; }
  ParameterStore& store() { return store_; }
  torch::Tensor gradient_of(const std::string& name, const std::vector<int64_t>& shape) {
    return store_.slice(name, shape).grad();
  }

 private:
  std::shared_ptr<Simulation> at_start(const Network& folded, const SimulationPlan& plan) {
    store_.copy_common(folded.parameters);
    initialize_scales(plan, store_);
    return std::make_shared<Simulation>(plan, store_);
  }

  ParameterStore store_;
  Executor executor_;
  std::shared_ptr<Simulation> simulation_;
};

// As in rewrite_test.cc: the image at 1/127, after ReLU at 0.01, the pool at 0.004.
const std::vector<ValueRange> kSimulatedRanges = {{-1, 1}, {}, {0, 2.55}, {0, 1.02}, {}};

torch::Tensor small_image() { return torch::tensor({1.0f, -1.0f, 0.4f, 0.25f}).view({1, 1, 2, 2}); }

SimulationPlan plan_of(const Network& folded, const std::vector<ValueRange>& ranges, ScaleRule rule,
                       const RewriteOptions& options = {}) {
  return {.start = quantize(folded, ranges, options).quantized, .rewrite = options, .rule = rule};
}

// The pool gives 360 * 0.01 / 4 = 225 steps of 0.004 and 77 * 0.01 / 4 = 48.125, which become 225
// and 48. Of the sum of the logits the second one has the gradient -1 + 76 * 0.5 / 127. So the
// step's is -0.125 times that, over sqrt(2 * 255) and over the step.
TEST(SimulationTest, AStepHasTheGradientThatIsComputedByHand) {
  const Network folded = two_layers();
  Simulated network(folded, plan_of(folded, kSimulatedRanges, ScaleRule::kLsq));
  network.forward(small_image()).sum().backward();
  const double expected = -0.125 * (-1 + 76 * 0.5 / 127) / std::sqrt(2.0 * 255) / 0.004;
  EXPECT_NEAR(network.gradient_of("value_scale.3", {}).item<double>(), expected, 1e-3);
  EXPECT_TRUE(network.gradient_of("weight_scale.1", {2}).defined());
}

TEST(SimulationTest, ObservedScalesFollowTheBatchesUntilTheyAreFrozen) {
  const Network folded = two_layers();
  SimulationPlan plan = plan_of(folded, kSimulatedRanges, ScaleRule::kObserved);
  plan.observer_momentum = 0.25;
  Simulated network(folded, plan);
  EXPECT_EQ(network.simulation().quantized().values[2]->scale, plan.start.values[2]->scale);
  {
    at::NoGradGuard no_grad;  // an evaluation
    network.forward(3 * small_image());
  }
  EXPECT_FLOAT_EQ(network.simulation().quantized().values[0]->scale, 1.0f / 127);
  network.forward(3 * small_image());  // a quarter of the way to [-3, 3]
  EXPECT_FLOAT_EQ(network.simulation().quantized().values[0]->scale, 1.5f / 127);
  network.store().full("conv.weight").mul_(2);
  network.forward(small_image());
  EXPECT_FLOAT_EQ(network.simulation().quantized().weights[1]->scales[0], 4.0f / 127);
  network.simulation().freeze();
  network.store().full("conv.weight").mul_(2);
  network.forward(3 * small_image());
  EXPECT_FLOAT_EQ(network.simulation().quantized().weights[1]->scales[0], 4.0f / 127);
  EXPECT_FLOAT_EQ(network.simulation().quantized().values[0]->scale, 1.375f / 127);
}

TEST(SimulationTest, StepsStayAboveZeroAndLearnedOnesAreWhatRuns) {
  const Network folded = two_layers();
  const SimulationPlan plan = plan_of(folded, kSimulatedRanges, ScaleRule::kLsq);
  Simulated network(folded, plan);
  network.store().full("value_scale.2").fill_(1.5);
  network.store().full("weight_scale.4").copy_(torch::tensor({2.0f, -1.0f}));
  const QuantizedGraph learned = network.simulation().quantized();
  EXPECT_FLOAT_EQ(learned.values[2]->scale, 0.015f);
  EXPECT_FLOAT_EQ(learned.weights[4]->scales[0], 2.0f / 127);
  EXPECT_FLOAT_EQ(learned.weights[4]->scales[1], 0.05f / 127);
  const QuantizedNetwork runs = quantize_with(learned, folded);
  // -1 is 63.5 steps, 0.5 saturates at 127.
  const torch::Tensor weights = runs.tensors.at("linear.weight").to(torch::kInt).view({-1});
  EXPECT_TRUE(torch::equal(weights, torch::tensor({64, -64, 127, 127}, torch::kInt))) << weights;
  const torch::Tensor error =
      QuantizedExecutor(runs).forward(small_image()) - network.forward(small_image());
  EXPECT_LT(error.abs().max().item<float>(), 1e-5);
}

using HybridSimulationTest = SmallHybrid;

TEST_F(HybridSimulationTest, GivesTheIntegersThatRunAtTheScalesOfTheStart) {
  Network folded = fold_norms(graph_, store_);
  const torch::Tensor images = uniform(1, {8, 1, 16, 16});
  const std::vector<ValueRange> ranges = ranges_of(folded, images);
  at::NoGradGuard no_grad;
  for (const RewriteOptions& options :
       {RewriteOptions{}, RewriteOptions{.zero_points = ZeroPoints::kAll},
        RewriteOptions{.per_channel = false}, RewriteOptions{.fp32_ops = {"classifier"}}}) {
    const QuantizedNetwork runs = quantize(folded, ranges, options);
    const QuantizedNetwork again = quantize_with(runs.quantized, folded);
    for (const auto& [name, tensor] : runs.tensors) {
      EXPECT_TRUE(torch::equal(again.tensors.at(name), tensor)) << name;
    }
    const QuantizedExecutor executor(runs);
    const std::vector<torch::Tensor> expected = executor.values(images);
    for (ScaleRule rule : kValues<ScaleRule>) {
      Simulated network(folded, plan_of(folded, ranges, rule, options));
      const std::vector<torch::Tensor> simulated = network.values(images);
      for (size_t i = 0; i < expected.size(); ++i) {
        const auto& scale = runs.quantized.values[i];
        if (!scale) continue;
        const torch::Tensor integers =
            (simulated[i] / scale->scale).round() + double(scale->zero_point);
        const torch::Tensor difference = (integers - expected[i].to(torch::kFloat)).abs();
        EXPECT_LE(difference.max().item<float>(), 1) << folded.graph.ops[i].name;
        // Where the fp32 sum is on another side of a half.
        EXPECT_LT(difference.gt(0).to(torch::kFloat).mean().item<float>(), 0.002)
            << folded.graph.ops[i].name;
      }
      const torch::Tensor logits = executor.forward(images);
      EXPECT_LT((simulated.back() - logits).norm().item<float>(),
                0.01f * logits.norm().item<float>());
    }
  }
}

}  // namespace
}  // namespace ridgewalk
