// Quantisation after training: what a few images, and no gradients, can do.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "supernet/quantization/calibration.h"
#include "supernet/quantization/quantized_network.h"
#include "supernet/quantization/rewrite.h"

namespace ridgewalk {

enum class BiasCorrection {
  kNone,
  kData,   // to the means over the calibration images
  kNorms,  // to those that batch norms say, without data
};
template <>
inline constexpr auto kNames<BiasCorrection> =
    name_table<BiasCorrection>("bias correction", {{BiasCorrection::kNone, "none"},
                                                   {BiasCorrection::kData, "data"},
                                                   {BiasCorrection::kNorms, "norms"}});

// To which integers weights are rounded.
enum class WeightRounding {
  kNearest,
  kAdaptive,  // those with which a layer's sums over the calibration images are nearest (AdaRound)
};
template <>
inline constexpr auto kNames<WeightRounding> = name_table<WeightRounding>(
    "rounding", {{WeightRounding::kNearest, "nearest"}, {WeightRounding::kAdaptive, "adaround"}});

// What suits most networks, and narrower ranges for those whose values have long tails, such as
// those of hard swish.
inline const std::vector<CalibrationOptions> kRangeCandidates = {
    {.method = RangeMethod::kMse},
    {.method = RangeMethod::kPercentile, .percentile = 99.99},
    {.method = RangeMethod::kPercentile, .percentile = 99.9},
    {.method = RangeMethod::kEntropy}};

// What a rule of the ranges does to what the network says of the calibration images.
struct RangeTrial {
  std::string rule;       // Calibration::rule
  double divergence = 0;  // class_divergence()
};

struct PostTrainingOptions {
  RewriteOptions rewrite = {};  // its range_rule is that of the calibration
  // Of several, the one with which the classes' probabilities over the calibration images are
  // nearest to those in fp32. Signal to noise of the logits, which counts what no class depends on,
  // orders them otherwise (experiments/results/quantization.md).
  std::vector<CalibrationOptions> calibrations = kRangeCandidates;
  bool equalizes = false;  // equalize(), before calibration
  WeightRounding rounding = WeightRounding::kNearest;
  BiasCorrection bias_correction = BiasCorrection::kNone;  // after rounding
};

// A network and what its quantisation needs, so that it can be quantised with other options at the
// same ranges.
class PostTraining {
 public:
  // `network` is as it was trained, on the CPU; it may be folded already, and must outlive this.
  // Calibrates. Throws Error as calibrate() does, and where biases are to be corrected by norms
  // that are folded or equalised.
  PostTraining(const Network& network, CalibrationBatches batches, PostTrainingOptions options);

  // With weights rounded and biases corrected as the options say. `more` ops are kept in fp32
  // beside those that the options name.
  QuantizedNetwork quantized(const std::set<std::string>& more = {}) const;
  // To the nearest, without correction.
  QuantizedNetwork rounded(const std::set<std::string>& more = {}) const;

  Network& folded() const { return *folded_; }  // and equalised
  const std::set<std::string>& fp32_ops() const { return options_.rewrite.fp32_ops; }
  const Calibration& calibration() const { return calibration_; }
  // By which it was chosen; empty where nothing was.
  const std::vector<RangeTrial>& range_trials() const { return range_trials_; }
  int equalized_pairs() const { return equalized_pairs_; }

 private:
  // Tries each, and returns the first of those with the nearest logits.
  Calibration nearest(std::vector<Calibration> calibrations);

  const Network& trained_;
  std::unique_ptr<Network> folded_;
  CalibrationBatches batches_;
  PostTrainingOptions options_;
  Calibration calibration_;
  std::vector<RangeTrial> range_trials_;
  int equalized_pairs_ = 0;
};

}  // namespace ridgewalk
