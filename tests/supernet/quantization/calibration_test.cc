#include "supernet/quantization/calibration.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "supernet/quantization/bias_correction.h"
#include "supernet/quantization/equalization.h"
#include "supernet/quantization/noise.h"
#include "supernet/quantization/quantized_executor.h"
#include "tests/helpers.h"
#include "tests/supernet/formats/small_hybrid.h"
#include "tests/supernet/quantization/small_quantized.h"

namespace ridgewalk {
namespace {

ValueForm form_of(IntegerType type, bool is_negative) {
  return {.type = type, .is_negative = is_negative, .fixed_scale = {}, .why = {}};
}
const ValueForm kPositive = form_of(IntegerType::kU8, false);
const ValueForm kSigned = form_of(IntegerType::kS8, true);
const ValueForm kWithZeroPoint = form_of(IntegerType::kU8, true);

// 100 values, spread evenly over ten bins from 0 to 10: 90 % lie below 9.
TEST(PercentileRangeTest, IsTheShareOfTheValues) {
  const Histogram even{.low = 0, .high = 10, .counts = std::vector<double>(10, 10.0)};
  EXPECT_DOUBLE_EQ(percentile_range(even, kPositive, 90).high, 9);
  EXPECT_DOUBLE_EQ(percentile_range(even, kPositive, 95).high, 9.5);
  EXPECT_DOUBLE_EQ(percentile_range(even, kPositive, 100).high, 10);
}

// Magnitudes: 6 values below 1, 3 from 1 to 2, 1 from 3 to 4.
TEST(PercentileRangeTest, OfSignedValuesIsThatOfTheirMagnitudes) {
  const Histogram histogram{.low = -4, .high = 4, .counts = {0, 0, 1, 2, 4, 2, 0, 1}};
  const ValueRange range = percentile_range(histogram, kSigned, 90);
  EXPECT_DOUBLE_EQ(range.high, 2);
  EXPECT_DOUBLE_EQ(range.low, -2);
}

TEST(PercentileRangeTest, WithAZeroPointCutsBothEnds) {
  const Histogram even{.low = -2, .high = 8, .counts = std::vector<double>(10, 10.0)};
  const ValueRange range = percentile_range(even, kWithZeroPoint, 90);
  EXPECT_DOUBLE_EQ(range.low, -1.5);
  EXPECT_DOUBLE_EQ(range.high, 7.5);
}

// Half of the values are evenly spread up to 1, and one of 100,000 is 100: a step of 1/255 has an
// error of 1/255^2/12 per value and of 99^2 for the outlier, which is 0.098 on average; the range
// of 100 has 0.39^2/12 = 0.013. In between, at 100 r with the step 0.39 r, the error is 0.0128 r^2
// + 1e-5 (100 - 100 r)^2, least at r = 0.1 / 0.1128 = 0.89.
TEST(MseRangeTest, WeighsRoundingAgainstSaturation) {
  Histogram histogram{.low = 0, .high = 100, .counts = std::vector<double>(20000)};
  for (size_t i = 0; i < 200; ++i) histogram.counts[i] = 500;  // up to 1
  histogram.counts.back() = 1;
  const ValueRange range = mse_range(histogram, kPositive);
  EXPECT_NEAR(range.high, 89, 6);
  // Without an outlier everything that occurs is kept.
  const Histogram even{.low = 0, .high = 1, .counts = std::vector<double>(2048, 1.0)};
  EXPECT_DOUBLE_EQ(mse_range(even, kPositive).high, 1);
}

// An even distribution rounds to itself. A bell that ends in bin 262 of 2048 loses its shape at
// eight bins per integer, by about 1e-3, and one value far away of 88,000 is worth 9.2 / 88,000.
TEST(EntropyRangeTest, KeepsAnEvenDistributionAndCutsOutliers) {
  Histogram histogram{.low = 0, .high = 2048, .counts = std::vector<double>(2048, 1.0)};
  EXPECT_DOUBLE_EQ(entropy_range(histogram, kPositive).high, 2048);
  for (size_t i = 0; i < 2048; ++i) {
    histogram.counts[i] = std::floor(1000 * std::exp(-double(i * i) / 1e4));
  }
  histogram.counts.back() = 1;
  const double high = entropy_range(histogram, kPositive).high;
  EXPECT_LT(high, 300);
  EXPECT_GE(high, 256);
}

class CalibrationTest : public SmallHybrid {
 protected:
  CalibrationTest() : folded_(fold_norms(graph_, store_)) {}

  // 24 images in batches of 8.
  static CalibrationBatches batches() {
    return {.count = 3,
            .batch = [](int64_t b) { return uniform(10 + uint64_t(b), {8, 1, 16, 16}); }};
  }

  Calibration calibrated(RangeMethod method) {
    return calibrate(folded_, value_forms(folded_.graph), batches(), {{.method = method}})[0];
  }

  double error(const QuantizedNetwork& network, const torch::Tensor& images) {
    const torch::Tensor expected = fp32_logits(folded_, images);
    return (QuantizedExecutor(network).forward(images) - expected).norm().item<double>();
  }

  Network folded_;
};

TEST_F(CalibrationTest, MinMaxIsWhatOccursInAnyBatch) {
  const Calibration calibration = calibrated(RangeMethod::kMinMax);
  EXPECT_EQ(calibration.images, 24);
  EXPECT_EQ(calibration.rule, "all values of 24 images");
  const std::vector<std::optional<ValueForm>> forms = value_forms(folded_.graph);
  std::vector<std::vector<ValueRange>> expected;
  for (int64_t b = 0; b < 3; ++b) expected.push_back(ranges_of(folded_, batches().batch(b)));
  for (size_t i = 0; i < forms.size(); ++i) {
    if (!forms[i] || forms[i]->fixed_scale) continue;
    double low = 1e9, high = -1e9;
    for (const auto& ranges : expected) {
      low = std::min(low, ranges[i].low);
      high = std::max(high, ranges[i].high);
    }
    EXPECT_EQ(calibration.ranges[i], (ValueRange{low, high})) << folded_.graph.ops[i].name;
  }
}

TEST_F(CalibrationTest, OtherRangesLieWithinAndRepeat) {
  const Calibration all = calibrated(RangeMethod::kMinMax);
  for (RangeMethod method : {RangeMethod::kPercentile, RangeMethod::kMse, RangeMethod::kEntropy}) {
    const Calibration some = calibrated(method);
    EXPECT_EQ(some.ranges, calibrated(method).ranges);
    bool cuts = false;
    for (size_t i = 0; i < some.ranges.size(); ++i) {
      const double largest = std::max(all.ranges[i].high, -all.ranges[i].low);
      EXPECT_LE(some.ranges[i].high, largest + 1e-6);
      cuts |= some.ranges[i].high < 0.999 * largest;
    }
    EXPECT_TRUE(cuts) << to_string(method);
    const auto images = uniform(77, {8, 1, 16, 16});
    EXPECT_LT(error(quantize(folded_, some.ranges), images),
              0.2 * logits(graph_, store_).norm().item<double>());
  }
}

TEST_F(CalibrationTest, RefusesNoImagesAndValuesThatAreNotNumbers) {
  const auto forms = value_forms(folded_.graph);
  expect_error([&] { calibrate(folded_, forms, {.count = 0, .batch = {}}, {{}}); }, "no image");
  CalibrationBatches broken = batches();
  broken.batch = [](int64_t b) {
    auto images = uniform(10, {8, 1, 16, 16});
    if (b == 1) images[3][0][2][2] = std::numeric_limits<float>::quiet_NaN();
    return images;
  };
  expect_error([&] { calibrate(folded_, forms, broken, {{.method = RangeMethod::kMinMax}}); },
               "NaN");
  expect_error([&] { calibrate(folded_, forms, broken, {{}}); }, "NaN");
}

TEST_F(CalibrationTest, EqualisationKeepsTheFunctionAndLevelsTheWeights) {
  const auto images = uniform(77, {8, 1, 16, 16});
  at::NoGradGuard no_grad;
  // One channel far smaller than its neighbours, made up for by what reads it.
  folded_.parameters.full("blocks.0.0.pw_exp.conv.weight")[0].mul_(1e-3);
  const torch::Tensor before = fp32_logits(folded_, images);
  EXPECT_GT(equalize(folded_), 2);
  EXPECT_LT((fp32_logits(folded_, images) - before).norm().item<float>(),
            1e-5f * before.norm().item<float>());
  const auto rows = folded_.parameters.full("blocks.0.0.pw_exp.conv.weight");
  const auto after = folded_.parameters.full("blocks.0.0.dw_mid.conv.weight");
  const auto largest = [](const torch::Tensor& weight) { return weight.abs().flatten(1).amax(1); };
  EXPECT_TRUE(torch::allclose(largest(rows), largest(after), 0.05)) << "both sides alike";
}

TEST(Equalization, KeepsTheFunctionOfConvolutionsInGroups) {
  Network folded = folded_groups();
  const torch::Tensor images = uniform(1, {4, 3, 32, 32});
  const torch::Tensor before = fp32_logits(folded, images);
  EXPECT_GT(equalize(folded), 4);
  EXPECT_LT((fp32_logits(folded, images) - before).norm().item<float>(),
            1e-5f * before.norm().item<float>());
}

TEST_F(CalibrationTest, BiasesCorrectedByDataBringTheMeansBack) {
  RewriteOptions options{.per_channel = false};
  const auto ranges = calibrated(RangeMethod::kMinMax).ranges;
  QuantizedNetwork network = quantize(folded_, ranges, options);
  const auto mean_error = [&](const QuantizedNetwork& of) {
    at::NoGradGuard no_grad;
    torch::Tensor sum;
    for (int64_t b = 0; b < 3; ++b) {
      const auto images = batches().batch(b);
      const torch::Tensor difference =
          QuantizedExecutor(of).forward(images) - fp32_logits(folded_, images);
      sum = sum.defined() ? sum + difference.sum(0) : difference.sum(0);
    }
    return (sum / 24).norm().item<double>();
  };
  const double before = mean_error(network);
  correct_biases(network, folded_, batches());
  EXPECT_LT(mean_error(network), 0.02 * before);
}

// Behind norm and ReLU, whose mean over a Gaussian of mean 0 and deviation 1 is 1 / sqrt(2 pi): an
// error of the weight times it leaves the bias. Of a 3x3 window on one pixel only the middle
// counts.
class NormCorrectionTest : public testing::TestWithParam<int> {};

TEST_P(NormCorrectionTest, TakesTheMeanThatTheNormSays) {
  const int kernel = GetParam();
  Graph graph{.name = "norm", .ops = {}};
  graph.ops = {{.kind = OpKind::kInput, .name = "image", .output = {1, 1, 1}},
               {.kind = OpKind::kConv, .name = "first", .inputs = {0}, .output = {1, 1, 1}},
               {.kind = OpKind::kNorm, .name = "norm", .inputs = {1}, .output = {1, 1, 1}},
               {.kind = OpKind::kActivation,
                .name = "relu",
                .inputs = {2},
                .output = {1, 1, 1},
                .activation = Activation::kRelu},
               {.kind = OpKind::kConv,
                .name = "second",
                .inputs = {3},
                .output = {2, 1, 1},
                .kernel = kernel,
                .bias = true}};
  ParameterStore store(graph);
  store.initialize(0);
  store.full("first.weight").fill_(1);
  store.full("second.weight")[0].fill_(1);
  store.full("second.weight")[1].fill_(0.3f);
  const Network folded = fold_norms(graph, store);
  // With one scale of 1/127, 0.3 becomes 38/127: 0.000787 less.
  QuantizedNetwork network = quantize(folded, {{-1, 1}, {}, {0, 2.55}, {}}, {.per_channel = false});
  const auto bias = [&] {
    return network.tensors.at("second.bias").to(torch::kDouble) * 0.01 / 127;
  };
  const torch::Tensor before = bias();
  EXPECT_EQ(correct_biases(network, folded, graph, store), 1);
  const torch::Tensor shift = bias() - before;
  const double error = 38.0 / 127 - 0.3;
  EXPECT_NEAR(shift[0].item<double>(), 0, 1e-9);
  EXPECT_NEAR(shift[1].item<double>(), -error * 0.398942, 5e-5);
}

INSTANTIATE_TEST_SUITE_P(Windows, NormCorrectionTest, testing::Values(1, 3));

TEST_F(CalibrationTest, NoiseOfEachOpIsInDecibels) {
  const QuantizedNetwork network = quantize(folded_, calibrated(RangeMethod::kMinMax).ranges);
  const auto decibels = signal_to_noise(folded_, network, batches());
  ASSERT_TRUE(decibels[0]);
  // An even distribution from -1 to 1 with the step 1/127: (1/3) / (1/127^2/12) = 48.1 dB.
  EXPECT_NEAR(*decibels[0], 48.1, 0.3);
  EXPECT_TRUE(decibels.back());
  EXPECT_GT(*decibels.back(), 15);
}

TEST_F(CalibrationTest, TheOpWithTheCoarsestWeightsGainsMostFromFp32) {
  // One outlier takes all of the scale that 15 other channels share.
  folded_.parameters.full("blocks.0.0.pw_exp.conv.weight")[3][0].fill_(100);
  const PostTraining quantization(
      folded_, batches(),
      {.rewrite = {.per_channel = false}, .calibrations = {{.method = RangeMethod::kMinMax}}});
  const auto list = sensitivities(quantization, batches());
  EXPECT_EQ(list[0].op, "blocks.0.0.pw_exp.conv");
  EXPECT_GT(list[0].gain_db, list[1].gain_db);
}

// Sum of p log(p / q) over the classes, mean over the images, as it is defined.
double divergence_of(const torch::Tensor& exact, const torch::Tensor& rounded) {
  double sum = 0;
  for (int64_t n = 0; n < exact.size(0); ++n) {
    std::vector<double> p, q;
    for (int64_t c = 0; c < exact.size(1); ++c) {
      p.push_back(std::exp(exact[n][c].item<double>()));
      q.push_back(std::exp(rounded[n][c].item<double>()));
    }
    const double all_p = std::accumulate(p.begin(), p.end(), 0.0),
                 all_q = std::accumulate(q.begin(), q.end(), 0.0);
    for (size_t c = 0; c < p.size(); ++c) {
      sum += p[c] / all_p * std::log(p[c] / all_p / (q[c] / all_q));
    }
  }
  return sum / double(exact.size(0));
}

TEST_F(CalibrationTest, TakesTheRuleOfRangesWhoseClassesAreNearest) {
  const CalibrationOptions all{.method = RangeMethod::kMinMax},
      half{.method = RangeMethod::kPercentile, .percentile = 50},
      least{.method = RangeMethod::kMse};
  for (const auto& rules : {std::vector{half, all, least}, std::vector{least, half}}) {
    const PostTraining quantization(folded_, batches(), {.calibrations = rules});
    const std::vector<RangeTrial>& trials = quantization.range_trials();
    ASSERT_EQ(trials.size(), rules.size());
    double least_divergence = 100;
    std::string best;
    for (size_t i = 0; i < rules.size(); ++i) {
      const auto alone = calibrate(folded_, value_forms(folded_.graph), batches(), {rules[i]})[0];
      const QuantizedExecutor executor(quantize(folded_, alone.ranges));
      std::vector<torch::Tensor> rounded;
      for (int64_t b = 0; b < batches().count; ++b) {
        rounded.push_back(executor.forward(batches().batch(b)));
      }
      const double divergence =
          divergence_of(torch::cat(exact_logits(folded_, batches())), torch::cat(rounded));
      EXPECT_EQ(trials[i].rule, alone.rule);
      EXPECT_NEAR(trials[i].divergence, divergence, 1e-6) << alone.rule;
      if (divergence < least_divergence) {
        std::tie(least_divergence, best) = std::tie(divergence, alone.rule);
      }
    }
    EXPECT_EQ(quantization.calibration().rule, best);
    EXPECT_NE(best, "50 % of the values of 24 images");
  }
  EXPECT_TRUE(PostTraining(folded_, batches(), {.calibrations = {all}}).range_trials().empty());
}

// Where some are kept in fp32 already, the gain is that of one more.
TEST_F(CalibrationTest, SensitivityIsOverWhatIsKeptInFp32) {
  const PostTraining quantization(folded_, batches(), {.rewrite = {.fp32_ops = {"classifier"}}});
  const auto logits_db = [&](const QuantizedNetwork& network) {
    return signal_to_noise(quantization.folded(), network, batches()).back().value();
  };
  const double before = logits_db(quantization.rounded());
  EXPECT_GT(before, 20);
  const auto list = sensitivities(quantization, batches());
  EXPECT_THAT(
      list,
      testing::Not(testing::Contains(testing::Field(&Sensitivity::op, std::string("classifier")))));
  for (const Sensitivity& one : {list.front(), list.back()}) {
    EXPECT_NEAR(one.gain_db, logits_db(quantization.rounded({one.op})) - before, 1e-4) << one.op;
  }
}

}  // namespace
}  // namespace ridgewalk
