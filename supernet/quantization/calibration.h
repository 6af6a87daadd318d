// The ranges of a network's values over images.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "supernet/quantization/rewrite.h"

namespace ridgewalk {

// By which the range that integers stand for is chosen. What is beyond it saturates.
enum class RangeMethod {
  kMinMax,      // everything that occurs
  kPercentile,  // a share of what occurs
  kMse,         // the least squared error of rounding and saturation together
  kEntropy,     // the least divergence of the rounded from the true distribution (Kullback-Leibler)
};
template <>
inline constexpr auto kNames<RangeMethod> =
    name_table<RangeMethod>("range method", {{RangeMethod::kMinMax, "min-max"},
                                             {RangeMethod::kPercentile, "percentile"},
                                             {RangeMethod::kMse, "mse"},
                                             {RangeMethod::kEntropy, "entropy"}});

// How often values fall into equal parts of [low, high]. Nothing lies outside; low is at most 0 and
// high at least 0.
struct Histogram {
  double low = 0, high = 0;
  std::vector<double> counts;
  double width() const { return (high - low) / double(counts.size()); }
  double centre(size_t bin) const { return low + (double(bin) + 0.5) * width(); }
};

// The range that `percentile` percent of the values lie in: up to it where there are none below 0,
// by magnitude for s8, and with a zero point with half of the rest beyond either end. Values are
// spread evenly within a bin.
ValueRange percentile_range(const Histogram& histogram, const ValueForm& form, double percentile);
// The part of the range, in hundredths, with the least mean squared error: each bin's at its
// centre.
ValueRange mse_range(const Histogram& histogram, const ValueForm& form);
// The part of the range whose distribution differs least from its rounded one in the sense of
// Kullback and Leibler (S. Migacz, "8-bit inference with TensorRT", 2017): what is cut off counts
// in the outermost bins, and each integer's share is spread evenly over its bins that are not
// empty. The bin of 0, where ReLU leaves zeros that every range rounds exactly, counts as the next
// one.
ValueRange entropy_range(const Histogram& histogram, const ValueForm& form);

// Batches of the network's input, [N, C, H, W], made anew when they are asked for.
struct CalibrationBatches {
  int64_t count = 0;
  std::function<torch::Tensor(int64_t)> batch;
};

// As many of the first ones as no value of the graph exceeds 1 GiB for, [N, C, H, W]. Throws Error
// when there are none.
torch::Tensor first_images(const CalibrationBatches& batches, const Graph& graph);

struct CalibrationOptions {
  RangeMethod method = RangeMethod::kMse;
  double percentile = 99.99;
};

struct Calibration {
  std::vector<ValueRange> ranges;  // one per op
  int64_t images = 0;
  std::string rule;  // RewriteOptions::range_rule
};

// Runs the folded network over all batches, twice where a method needs distributions. Returns one
// calibration for each of the options. Throws Error when there are no images, or a value is NaN or
// infinite.
std::vector<Calibration> calibrate(Network& folded,
                                   const std::vector<std::optional<ValueForm>>& forms,
                                   const CalibrationBatches& batches,
                                   const std::vector<CalibrationOptions>& options);

}  // namespace ridgewalk
