#include "supernet/quantization/rewrite.h"

#include <limits>

#include "supernet/quantization/quantized_executor.h"
#include "tests/helpers.h"
#include "tests/supernet/formats/small_hybrid.h"
#include "tests/supernet/quantization/small_quantized.h"

namespace ridgewalk {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <class T>
std::vector<T> numbers(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.contiguous();
  return {flat.data_ptr<T>(), flat.data_ptr<T>() + flat.numel()};
}

// Image from -1 to 1, ReLU from 0 to 2.55, pool from 0 to 1.02.
const std::vector<ValueRange> kRanges = {{-1, 1}, {}, {0, 2.55}, {0, 1.02}, {}};

// By hand: image 127, -127, 51, 32 at 1/127. Weights 127 at 2/127 and -127 at 0.5/127; biases
// 0.1 127^2 / 2 = 806 and 0.2 127^2 / 0.5 = 6452. Sums 16935, -15323, 7283, 4870 at 2/127^2, and
// -9677, 22581, -25, 2388 at 0.5/127^2; after ReLU, at 0.01: 210, 0, 90, 60 and 0, 70, 0, 7. Pool
// at 0.004: 360 / 4 * 2.5 = 225, 77 / 4 * 2.5 = 48. Linear: 127, -127 at 1/127, and 127, 76 at
// 0.5/127 with the bias 635: 22479 and 32858, at 0.004/127 and 0.002/127.
TEST(QuantizeTest, GivesTheIntegersThatAreComputedByHand) {
  const QuantizedNetwork network = quantize(two_layers(), kRanges);
  EXPECT_THAT(numbers<int8_t>(network.tensors.at("conv.weight")), ElementsAre(127, -127));
  EXPECT_THAT(numbers<int32_t>(network.tensors.at("conv.bias")), ElementsAre(806, 6452));
  EXPECT_THAT(numbers<int8_t>(network.tensors.at("linear.weight")),
              ElementsAre(127, -127, 127, 76));
  EXPECT_THAT(numbers<int32_t>(network.tensors.at("linear.bias")), ElementsAre(0, 635));

  const torch::Tensor image = torch::tensor({1.0f, -1.0f, 0.4f, 0.25f}).view({1, 1, 2, 2});
  for (Products products : {Products::kPlain, Products::kFast}) {
    const auto values = QuantizedExecutor(network, products).values(image);
    EXPECT_THAT(numbers<int8_t>(values[0]), ElementsAre(127, -127, 51, 32));
    EXPECT_THAT(numbers<uint8_t>(values[2]), ElementsAre(210, 0, 90, 60, 0, 70, 0, 7));
    EXPECT_THAT(numbers<uint8_t>(values[3]), ElementsAre(225, 48));
    EXPECT_THAT(numbers<float>(values[4]), ElementsAre(testing::FloatEq(22479 * 0.004f / 127),
                                                       testing::FloatEq(32858 * 0.002f / 127)));
  }
}

TEST(QuantizeTest, SaysByWhichRuleEachValueIsKept) {
  const QuantizedGraph graph =
      quantize(two_layers(), kRanges, {.range_rule = "the largest of 4 images"}).quantized;
  EXPECT_EQ(graph.values[0]->rule, "input: s8 around 0, the largest of 4 images");
  EXPECT_FALSE(graph.values[1]) << "one step with its ReLU";
  EXPECT_EQ(graph.values[2]->rule, "after relu: u8 from 0, the largest of 4 images");
  EXPECT_EQ(graph.values[3]->type, IntegerType::kU8);
  EXPECT_FALSE(graph.values[4]) << "the logits";
  EXPECT_THAT(graph.weights[1]->rule, HasSubstr("each output channel"));
  EXPECT_EQ(graph.weights[1]->scales.size(), 2u);
}

TEST(QuantizeTest, OneScaleForAllWeightsIsTheLargest) {
  const QuantizedNetwork network = quantize(two_layers(), kRanges, {.per_channel = false});
  EXPECT_THAT(network.quantized.weights[1]->scales, ElementsAre(testing::FloatEq(2.0f / 127)));
  EXPECT_THAT(numbers<int8_t>(network.tensors.at("conv.weight")), ElementsAre(127, -32));
}

TEST(QuantizeTest, AZeroPointTakesAnUnevenRange) {
  std::vector<ValueRange> ranges = kRanges;
  ranges[0] = {-0.5, 1.54};  // 2.04 / 255 = 0.008 each, -0.5 at 62.5 below 0
  const auto value =
      quantize(two_layers(), ranges, {.zero_points = ZeroPoints::kAll}).quantized.values[0];
  EXPECT_EQ(value->type, IntegerType::kU8);
  EXPECT_FLOAT_EQ(value->scale, 0.008f);
  EXPECT_THAT(value->zero_point, testing::AnyOf(62, 63));
}

// By hand: SiLU has its least value, -0.278, at -1.278, so that of the range up to 2 nearly all
// integers are used; its input, which is as negative as positive, is around 0.
TEST(QuantizeTest, ActivationsThatHardlyGoBelowZeroHaveAZeroPoint) {
  Network network = two_layers();
  for (Op& op : network.graph.ops) {
    if (op.kind == OpKind::kActivation) op.activation = Activation::kSilu;
  }
  std::vector<ValueRange> ranges = kRanges;
  ranges[1] = {-2, 2};
  ranges[2] = {-0.278, 1.762};
  const auto values = quantize(network, ranges).quantized.values;
  EXPECT_EQ(values[1]->type, IntegerType::kS8);
  EXPECT_EQ(values[2]->type, IntegerType::kU8);
  EXPECT_FLOAT_EQ(values[2]->scale, 2.04f / 255);
  EXPECT_EQ(values[2]->zero_point, 35);  // 0.278 / 0.008
  EXPECT_EQ(values[2]->rule, "after silu: u8 with a zero point, its range");
  const auto around_zero = quantize(network, ranges, {.zero_points = ZeroPoints::kNone});
  EXPECT_EQ(around_zero.quantized.values[2]->type, IntegerType::kS8);
  EXPECT_FLOAT_EQ(around_zero.quantized.values[2]->scale, 1.762f / 127);
  // A dense 3x3 convolution pads with zeros.
  network.graph.ops[3].kind = OpKind::kConv;
  network.graph.ops[3].kernel = 3;
  EXPECT_EQ(value_forms(network.graph)[2]->type, IntegerType::kS8);
  EXPECT_EQ(value_forms(network.graph, {.zero_points = ZeroPoints::kAll})[2]->type,
            IntegerType::kU8);
}

// microsoft/onnxruntime#22020: a channel whose folded weights are almost 0 but whose bias is not.
TEST(QuantizeTest, TheBiasOfAChannelOfTinyWeightsFitsInt32) {
  Network network = two_layers();
  network.parameters.full("conv.weight").view({-1}).copy_(torch::tensor({1e-9f, 0.0f}));
  network.parameters.full("conv.bias").copy_(torch::tensor({1.5f, -1.25f}));
  const QuantizedNetwork quantized = quantize(network, kRanges);
  const WeightScale& scale = *quantized.quantized.weights[1];
  const auto biases = numbers<int32_t>(quantized.tensors.at("conv.bias"));
  for (size_t c = 0; c < 2; ++c) {
    const double real = double(biases[c]) * scale.scales[c] / 127;
    EXPECT_NEAR(real, c == 0 ? 1.5 : -1.25, 1e-6);
    EXPECT_NEAR(std::abs(biases[c]), 1 << 30, 64);
  }
  EXPECT_THAT(scale.rule, HasSubstr("in 2 what lets the bias fit int32"));
  const auto values =
      QuantizedExecutor(quantized, Products::kPlain).values(torch::ones({1, 1, 2, 2}));
  EXPECT_THAT(numbers<uint8_t>(values[2]), ElementsAre(150, 150, 150, 150, 0, 0, 0, 0));
}

TEST(QuantizeTest, RefusesWhatHasNoRange) {
  std::vector<ValueRange> ranges = kRanges;
  ranges[2].high = std::numeric_limits<double>::quiet_NaN();
  expect_error([&] { quantize(two_layers(), ranges); }, "'relu'", "NaN");
  Network network = two_layers();
  network.parameters.full("conv.weight").fill_(std::numeric_limits<float>::infinity());
  expect_error([&] { quantize(network, kRanges); }, "'conv.weight'", "infinity");
  expect_error([] { value_forms(two_layers().graph, {.fp32_ops = {"cnv"}}); }, "'cnv'");
}

TEST(QuantizeTest, AnOpInFp32ReadsWhatIsNotRounded) {
  const QuantizedNetwork network = quantize(two_layers(), kRanges, {.fp32_ops = {"linear"}});
  EXPECT_FALSE(network.quantized.values[3]);
  EXPECT_FALSE(network.quantized.weights[4]);
  EXPECT_EQ(network.tensors.at("linear.weight").scalar_type(), torch::kFloat);
  const torch::Tensor image = torch::tensor({1.0f, -1.0f, 0.4f, 0.25f}).view({1, 1, 2, 2});
  const auto values = QuantizedExecutor(network).values(image);
  EXPECT_FLOAT_EQ(values[3].view({-1})[0].item<float>(), 0.9f);
  EXPECT_FLOAT_EQ(values[4].view({-1})[0].item<float>(), 0.9f - 0.1925f);
}

TEST(QuantizeTest, KnowsConvolutionsInGroups) {
  at::NoGradGuard no_grad;
  const Graph graph = lower(grouped_network());
  ParameterStore store(graph);
  fill(store);
  Network folded = fold_norms(graph, store);
  const torch::Tensor images = uniform(1, {2, 3, 32, 32});
  const QuantizedNetwork network = quantize(folded, ranges_of(folded, images));
  const torch::Tensor plain = QuantizedExecutor(network, Products::kPlain).forward(images);
  EXPECT_TRUE(torch::equal(plain, QuantizedExecutor(network, Products::kFast).forward(images)));
  const torch::Tensor expected = Executor(graph, store).forward(images, NormMode::kRunning);
  EXPECT_LT((plain - expected).norm().item<float>(), 0.1f * expected.norm().item<float>());
}

class HybridQuantizeTest : public SmallHybrid {
 protected:
  HybridQuantizeTest() : folded_(fold_norms(graph_, store_)), images_(uniform(1, {8, 1, 16, 16})) {}

  Network folded_;
  torch::Tensor images_;
};

TEST_F(HybridQuantizeTest, FastProductsGiveTheBitsOfPlainOnes) {
  const std::vector<ValueRange> ranges = ranges_of(folded_, images_);
  for (ZeroPoints where : {ZeroPoints::kNone, ZeroPoints::kActivations, ZeroPoints::kAll}) {
    const QuantizedNetwork network = quantize(folded_, ranges, {.zero_points = where});
    const auto plain = QuantizedExecutor(network, Products::kPlain).values(images_);
    const auto fast = QuantizedExecutor(network, Products::kFast).values(images_);
    for (size_t i = 0; i < plain.size(); ++i) {
      EXPECT_TRUE(torch::equal(plain[i], fast[i])) << network.quantized.graph.ops[i].name;
    }
  }
}

TEST_F(HybridQuantizeTest, LogitsStayNearThoseInFp32) {
  const torch::Tensor expected = logits(graph_, store_);
  const torch::Tensor images = uniform(1, {3, 1, 16, 16});
  const QuantizedExecutor executor(quantize(folded_, ranges_of(folded_, images)));
  const torch::Tensor error = executor.forward(images) - expected;
  EXPECT_LT(error.norm().item<float>(), 0.05f * expected.norm().item<float>());
  EXPECT_GT(error.norm().item<float>(), 0.0f);
}

TEST_F(HybridQuantizeTest, AttentionIsKeptAsItsRulesSay) {
  const QuantizedGraph quantized = quantize(folded_, ranges_of(folded_, images_)).quantized;
  for (size_t i = 0; i < quantized.graph.ops.size(); ++i) {
    const auto& value = quantized.values[i];
    switch (quantized.graph.ops[i].kind) {
      case OpKind::kAttentionScores:
        EXPECT_FALSE(value);
        break;
      case OpKind::kSoftmax:
        EXPECT_FLOAT_EQ(value->scale, 1.0f / 255);
        EXPECT_EQ(value->type, IntegerType::kU8);
        break;
      case OpKind::kAttentionMix:
      case OpKind::kNorm:
        EXPECT_EQ(value->type, IntegerType::kS8);
        break;
      default:
        break;
    }
  }
}

TEST_F(HybridQuantizeTest, AnOpByItselfGivesWhatItGivesInTheNetwork) {
  const QuantizedNetwork network = quantize(folded_, ranges_of(folded_, images_));
  const QuantizedExecutor executor(network);
  const auto values = executor.values(images_);
  const std::vector<Op>& ops = network.quantized.graph.ops;
  const std::vector<int> uses = use_counts(network.quantized.graph);
  for (size_t i = 1; i < ops.size(); ++i) {
    Inputs sources = ops[i].inputs;
    if (is_step_with_relu(network.quantized.graph, uses, sources[0])) {
      sources = ops[size_t(sources[0])].inputs;
    }
    std::vector<torch::Tensor> inputs;
    for (int source : sources) inputs.push_back(values[size_t(source)]);
    EXPECT_TRUE(torch::equal(executor.value(int(i), inputs), values[i])) << ops[i].name;
  }
}

TEST_F(HybridQuantizeTest, WeightsAloneLeaveValuesInFp32) {
  const QuantizedNetwork network = quantize(folded_, {}, {.rounds_values = false});
  for (const auto& value : network.quantized.values) EXPECT_FALSE(value);
  EXPECT_EQ(network.tensors.at("conv_stem.weight").scalar_type(), torch::kChar);
  EXPECT_EQ(network.tensors.at("conv_stem.bias").scalar_type(), torch::kFloat);
  const torch::Tensor images = uniform(1, {3, 1, 16, 16}), expected = logits(graph_, store_);
  const torch::Tensor error = QuantizedExecutor(network).forward(images) - expected;
  EXPECT_LT(error.norm().item<float>(), 0.03f * expected.norm().item<float>());
}

// hard-swish(x) = x relu6(x + 3) / 6 at -1 and 2: -1/3 and 5/3.
TEST(ValueTableTest, HoldsAFunctionOfEachInteger) {
  const Op op{.kind = OpKind::kActivation,
              .name = "act",
              .output = {},
              .activation = Activation::kHardSwish};
  const auto table = value_table(op, {.type = IntegerType::kS8, .scale = 0.125f, .rule = {}},
                                 {.type = IntegerType::kS8, .scale = 0.0625f, .rule = {}});
  EXPECT_EQ(table[128 - 8], -5);   // -16/3
  EXPECT_EQ(table[128 + 16], 27);  // 80/3
  EXPECT_EQ(table[255], 127);      // saturated
  EXPECT_EQ(table[128], 0);
}

}  // namespace
}  // namespace ridgewalk
