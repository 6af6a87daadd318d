#include "supernet/quantization/batch_rounding.h"

#include "space/catalog.h"
#include "space/lowering.h"
#include "supernet/quantization/quantized_executor.h"
#include "supernet/quantization/rewrite.h"
#include "tests/formula_weights.h"
#include "tests/helpers.h"
#include "tests/supernet/formats/small_hybrid.h"
#include "tests/supernet/quantization/small_quantized.h"

namespace ridgewalk {
namespace {

// What rewrite_test.cc computes by hand, with the ranges of this image: after ReLU at 2.1 / 255,
// the pool, 0.9 and 0.1925, at 0.9 / 255, so that the second one is 0.1925 * 255 / 0.9 = 54.5.
TEST(BatchRoundingTest, RoundsByTheRangesOfTheBatch) {
  Network folded = two_layers();
  Executor executor(folded.graph, folded.parameters);
  executor.round(batch_rounding(folded.graph));
  std::vector<torch::Tensor> values;
  executor.observe([&](const Op&, const torch::Tensor& value) { values.push_back(value); });
  const torch::Tensor image = torch::tensor({1.0f, -1.0f, 0.4f, 0.25f}).view({1, 1, 2, 2});
  executor.forward(image, NormMode::kRunning);
  const torch::Tensor after_relu = values[1] / (2.1f / 255);
  EXPECT_TRUE(torch::allclose(after_relu, after_relu.round(), 0, 1e-3)) << after_relu;
  EXPECT_NEAR(after_relu.max().item<float>(), 255, 1e-3);
  EXPECT_NEAR(values[2].view({-1})[1].item<float>() / (0.9f / 255), 54.5, 0.7);
}

// By hand: from -0.28 to 0.74 in 255 steps of 0.004, of which 70 lie below 0.
TEST(BatchRoundingTest, HasAZeroPointBehindSilu) {
  Network folded = two_layers();
  folded.graph.ops[2].activation = Activation::kSilu;
  const auto rounding = batch_rounding(folded.graph);
  const torch::Tensor value = torch::tensor({-0.28f, -0.1995f, 0.0f, 0.501f, 0.74f});
  const torch::Tensor steps = rounding->value(2, value) / 0.004f;
  EXPECT_TRUE(
      torch::allclose(steps, torch::tensor({-70.0f, -50.0f, 0.0f, 125.0f, 185.0f}), 0, 1e-3))
      << steps;
}

// What a search judges is what quantize() would make, negative values of activations included.
TEST(BatchRoundingTest, IsNearTheRewriteOfANetworkWithSmoothActivations) {
  at::NoGradGuard no_grad;
  for (const char* name : {"compact-nano", "mobilenet-v3-large-050"}) {
    Architecture architecture = find_architecture(name);
    architecture.resolution = 32;
    const Graph graph = lower(architecture);
    ParameterStore store(graph);
    fill(store);
    Network folded = fold_norms(graph, store);
    const torch::Tensor images = uniform(1, {4, 3, 32, 32});
    const torch::Tensor exact = Executor(graph, store).forward(images, NormMode::kRunning);
    const torch::Tensor quantized =
        QuantizedExecutor(quantize(folded, ranges_of(folded, images))).forward(images);
    Executor executor(graph, store);
    executor.round(batch_rounding(graph));
    const torch::Tensor rounded = executor.forward(images, NormMode::kRunning);
    const float noise = (quantized - exact).norm().item<float>();
    EXPECT_LT((rounded - exact).norm().item<float>(), 2 * noise) << name;
    EXPECT_LT(noise, 0.3f * exact.norm().item<float>()) << name;
  }
}

class HybridBatchRoundingTest : public SmallHybrid {
 protected:
  // With running statistics.
  static torch::Tensor rounded_logits(const Graph& graph, ParameterStore& store,
                                      const Executor::Observer& observer = {}) {
    Executor executor(graph, store);
    executor.round(batch_rounding(graph));
    executor.observe(observer);
    at::NoGradGuard no_grad;
    return executor.forward(uniform(1, {8, 1, 16, 16}), NormMode::kRunning);
  }
};

// The largest of a batch is an integer, so that the ranges are those of what was rounded.
TEST_F(HybridBatchRoundingTest, IsTheRewriteOfTheFoldedNetworkWithTheseRanges) {
  Network folded = fold_norms(graph_, store_);
  const torch::Tensor images = uniform(1, {8, 1, 16, 16});
  std::vector<ValueRange> ranges{{images.min().item<double>(), images.max().item<double>()}};
  const auto folded_logits =
      rounded_logits(folded.graph, folded.parameters, [&](const Op&, const torch::Tensor& value) {
        ranges.push_back({value.min().item<double>(), value.max().item<double>()});
      });
  const torch::Tensor expected = QuantizedExecutor(quantize(folded, ranges)).forward(images);
  const torch::Tensor exact = Executor(graph_, store_).forward(images, NormMode::kRunning);
  const float rounding = (exact - expected).norm().item<float>();
  const auto distance = [](const torch::Tensor& a, const torch::Tensor& b) {
    return (a - b).norm().item<float>();
  };
  // A few sums that fp32 puts on another side of a half change what comes after them.
  EXPECT_LT(distance(folded_logits, expected), 0.7f * rounding);
  EXPECT_LT(distance(rounded_logits(graph_, store_), folded_logits), 0.1f * rounding);
}

TEST_F(HybridBatchRoundingTest, LetsGradientsThroughAndRepeatsItself) {
  torch::Tensor gradients[2];
  for (torch::Tensor& gradient : gradients) {
    Executor executor(graph_, store_);
    executor.round(batch_rounding(graph_));
    executor.forward(uniform(1, {8, 1, 16, 16}), NormMode::kBatch).pow(2).sum().backward();
    store_.collect_gradients(executor.learned());
    gradient = store_.grads().clone();
    store_.grads().zero_();
  }
  EXPECT_TRUE(torch::equal(gradients[0], gradients[1]));
  EXPECT_TRUE(store_.used().all().item<bool>());
}

}  // namespace
}  // namespace ridgewalk
