#include "supernet/quantization/adaptive_rounding.h"

#include "supernet/quantization/plain_convolution.h"
#include "supernet/quantization/quantized_executor.h"
#include "tests/helpers.h"
#include "tests/supernet/formats/small_hybrid.h"
#include "tests/supernet/quantization/small_quantized.h"

namespace ridgewalk {
namespace {

// Two inputs that are always the same: what counts is the sum of the weights, 1.45 + 1.35 = 2.8.
// The nearest integers give 2, the better ones 3.
TEST(AdaptiveRounding, RoundsUpWhatItsNeighbourLacks) {
  const auto ones = torch::ones({1, 2, 2}, torch::kDouble);
  const auto products = torch::full({1, 1, 2}, 2.8, torch::kDouble);
  const auto integers =
      round_adaptively(torch::tensor({{1.45f, 1.35f}}), {.scales = {1}, .rule = {}},
                       {.inputs = ones, .products = products, .count = 1000000});
  EXPECT_TRUE(integers.equal(torch::tensor({{2, 1}}, torch::kChar))) << integers;
}

// 500 rows of 24 inputs that depend on each other, rounded to 1/64 where they are multiplied.
class AdaptiveLayer : public testing::Test {
 protected:
  // Squared error of each channel, from some rows themselves.
  torch::Tensor errors(const torch::Tensor& integers, int64_t first = 0) const {
    const auto sums = rounded_.matmul(real_weight(integers, scale_).t());
    return (sums - expected_).slice(0, first).pow(2).sum(0);
  }
  // By the first ones.
  torch::Tensor adaptive(int64_t count = 500) const {
    const auto x = rounded_.slice(0, 0, count), y = expected_.slice(0, 0, count);
    return round_adaptively(weight_, scale_,
                            {.inputs = x.t().matmul(x).unsqueeze(0) / double(count),
                             .products = y.t().matmul(x).unsqueeze(0) / double(count),
                             .count = count});
  }

  torch::Tensor mixed_ = uniform(1, {500, 8}).matmul(uniform(2, {8, 24})).to(torch::kDouble);
  torch::Tensor inputs_ = torch::relu(mixed_ + 0.3 * uniform(3, {500, 24}));
  torch::Tensor rounded_ = (inputs_ * 64).round() / 64;
  torch::Tensor weight_ = uniform(4, {16, 24});
  WeightScale scale_ = weight_scale(weight_, {}, 0, false);
  torch::Tensor expected_ = inputs_.matmul(weight_.to(torch::kDouble).t());
};

TEST_F(AdaptiveLayer, HasNoLargerErrorThanNearestInAnyChannel) {
  const torch::Tensor nearest = errors(quantized_weight(weight_, scale_)), own = errors(adaptive());
  EXPECT_TRUE(own.le(nearest * (1 + 1e-9)).all().item<bool>());
  EXPECT_LT(own.sum().item<double>(), 0.8 * nearest.sum().item<double>());
}

TEST_F(AdaptiveLayer, TakesOneOfTheTwoIntegersAround) {
  const torch::Tensor integers = adaptive();
  EXPECT_EQ(integers.scalar_type(), torch::kChar);
  const auto exact = weight_.to(torch::kDouble) / double(scale_.scales[0]);
  EXPECT_LT((integers - exact).abs().max().item<double>(), 1);
  EXPECT_LE((integers - quantized_weight(weight_, scale_)).abs().max().item<int>(), 1);
  EXPECT_TRUE(integers.equal(adaptive())) << "the same again";
}

// 24 rows hardly tell 24 inputs apart: what they are fitted by must not harm the other rows.
TEST_F(AdaptiveLayer, FromFewRowsSuitsOthersToo) {
  const double nearest = errors(quantized_weight(weight_, scale_), 24).sum().item<double>();
  EXPECT_LT(errors(adaptive(24), 24).sum().item<double>(), nearest);
}

// Of a convolution or linear layer with these real weights.
torch::Tensor sums(const Op& op, const torch::Tensor& x, const torch::Tensor& weight,
                   const torch::Tensor& bias) {
  if (op.kind == OpKind::kLinear) return torch::linear(x.flatten(1), weight, bias);
  const Window window = window_of(op);
  return torch::conv2d(x, weight, bias, window.stride, window.padding, 1, window.groups);
}

// Of every layer of a network whose weights alone are rounded, on what the layers before it give:
// the error with the weights of `network` is no larger than with the nearest ones.
void expect_better_layers(Network& folded, const torch::Tensor& images) {
  at::NoGradGuard no_grad;
  const CalibrationBatches batches{.count = 2,
                                   .batch = [&](int64_t b) { return images.chunk(2)[size_t(b)]; }};
  const QuantizedNetwork nearest =
      quantize(folded, {}, {.per_channel = false, .rounds_values = false});
  QuantizedNetwork network = nearest;
  round_adaptively(network, folded, batches);

  std::vector<torch::Tensor> exact{images}, own;
  Executor executor(folded.graph, folded.parameters);
  executor.observe([&](const Op&, const torch::Tensor& value) { exact.push_back(value); });
  executor.forward(images, NormMode::kRunning);
  QuantizedExecutor(network).run_each(images, [&](int, const torch::Tensor& value) {
    own.push_back(value);
    return false;
  });
  double before = 0, after = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    const Op& op = network.quantized.graph.ops[i];
    const auto& scale = network.quantized.weights[i];
    if (!scale) continue;
    EXPECT_THAT(scale->rule, testing::HasSubstr("least error"));
    const auto& integers = nearest.tensors.at(op.name + ".weight");
    EXPECT_LE((network.tensors.at(op.name + ".weight") - integers).abs().max().item<int>(), 1);
    const auto bias = op.bias ? network.tensors.at(op.name + ".bias") : torch::Tensor();
    const auto weight = real_weight(integers, *scale).to(torch::kFloat);
    const double of_nearest =
        (sums(op, own[size_t(op.inputs[0])], weight, bias) - exact[i]).norm().item<double>();
    const double of_own = (own[i] - exact[i]).norm().item<double>();
    EXPECT_LE(of_own, of_nearest * (1 + 1e-4)) << op.name;
    before += of_nearest;
    after += of_own;
  }
  EXPECT_LT(after, 0.9 * before);
}

class AdaptiveNetwork : public SmallHybrid {};

TEST_F(AdaptiveNetwork, HasBetterLayers) {
  Network folded = fold_norms(graph_, store_);
  expect_better_layers(folded, uniform(1, {24, 1, 16, 16}));
}

TEST(AdaptiveRounding, KnowsConvolutionsInGroups) {
  Network folded = folded_groups();
  expect_better_layers(folded, uniform(1, {8, 3, 32, 32}));
}

TEST_F(AdaptiveNetwork, WhoseValuesAreRoundedIsNearerToItsLogits) {
  Network folded = fold_norms(graph_, store_);
  const torch::Tensor images = uniform(1, {32, 1, 16, 16});
  const CalibrationBatches batches{.count = 1, .batch = [&](int64_t) { return images; }};
  QuantizedNetwork network = quantize(folded, ranges_of(folded, images), {.per_channel = false});
  const torch::Tensor exact = fp32_logits(folded, images);
  const auto error = [&] {
    return (QuantizedExecutor(network).forward(images) - exact).norm().item<double>();
  };
  const double nearest = error();
  round_adaptively(network, folded, batches);
  EXPECT_LT(error(), nearest);
}

}  // namespace
}  // namespace ridgewalk
