#include "supernet/quantization/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <sstream>

#include "space/error.h"
#include "supernet/network/executor.h"

namespace ridgewalk {
namespace {

constexpr int kBins = 2048;
constexpr int64_t kMostElements = int64_t{1} << 28;  // of a value, in first_images()
constexpr int kParts = 100;                          // of the range, that mse_range() tries
constexpr size_t kLevels = 256;
// What a bin that holds only what was cut off counts for in the rounded distribution.
constexpr double kHardlyAny = 1e-4;

bool is_observed(const std::optional<ValueForm>& form) { return form && form->has_range(); }

// The value where the counts, added up from the first bin, reach `share` of all.
double quantile(const Histogram& histogram, double share) {
  const double wanted =
      share * std::accumulate(histogram.counts.begin(), histogram.counts.end(), 0.0);
  double below = 0;
  for (size_t i = 0; i < histogram.counts.size(); ++i) {
    const double count = histogram.counts[i];
    if (below + count >= wanted && count > 0) {
      return histogram.low + (double(i) + (wanted - below) / count) * histogram.width();
    }
    below += count;
  }
  return histogram.high;
}

// Of magnitudes: `symmetric` goes as far below 0 as above, in an even number of bins.
Histogram folded(const Histogram& symmetric) {
  const size_t half = symmetric.counts.size() / 2;
  Histogram magnitudes{.low = 0, .high = symmetric.high, .counts = {}};
  for (size_t i = 0; i < half; ++i) {
    magnitudes.counts.push_back(symmetric.counts[half + i] + symmetric.counts[half - 1 - i]);
  }
  return magnitudes;
}

double squared_error(const Histogram& histogram, const ValueScale& scale) {
  const double step = double(scale.scale);
  double error = 0;
  for (size_t i = 0; i < histogram.counts.size(); ++i) {
    if (histogram.counts[i] == 0) continue;
    const double x = histogram.centre(i);
    const double integer = std::clamp<double>(std::nearbyint(x / step) + scale.zero_point,
                                              lowest(scale.type), highest(scale.type));
    const double difference = x - step * (integer - scale.zero_point);
    error += histogram.counts[i] * difference * difference;
  }
  return error;
}

// Of the bins from `begin` to `end`, rounded to kLevels integers.
double divergence(const Histogram& histogram, size_t begin, size_t end) {
  const size_t bins = end - begin;
  std::vector<double> kept(histogram.counts.begin() + int64_t(begin),
                           histogram.counts.begin() + int64_t(end));
  const std::vector<double> inside = kept;
  const auto sum = [](auto from, auto to) { return std::accumulate(from, to, 0.0); };
  kept.front() += sum(histogram.counts.begin(), histogram.counts.begin() + int64_t(begin));
  kept.back() += sum(histogram.counts.begin() + int64_t(end), histogram.counts.end());
  const double all = sum(kept.begin(), kept.end()), all_inside = sum(inside.begin(), inside.end());
  if (all_inside == 0) return std::numeric_limits<double>::infinity();
  double result = 0;
  for (size_t level = 0; level < kLevels; ++level) {
    const size_t first = level * bins / kLevels, last = (level + 1) * bins / kLevels;
    double share = 0;
    int filled = 0;
    for (size_t i = first; i < last; ++i) {
      share += inside[i];
      filled += kept[i] > 0;
    }
    for (size_t i = first; i < last; ++i) {
      if (kept[i] == 0) continue;
      const double p = kept[i] / all, q = std::max(share / filled, kHardlyAny) / all_inside;
      result += p * std::log(p / q);
    }
  }
  return result;
}

std::string rule_of(const CalibrationOptions& options, int64_t images) {
  const std::string of_images = " of " + std::to_string(images) + " images";
  std::ostringstream rule;
  switch (options.method) {
    case RangeMethod::kMinMax:
      rule << "all values" << of_images;
      break;
    case RangeMethod::kPercentile:
      rule << options.percentile << " % of the values" << of_images;
      break;
    case RangeMethod::kMse:
      rule << "least squared error over the values" << of_images;
      break;
    case RangeMethod::kEntropy:
      rule << "least divergence from the values" << of_images;
      break;
  }
  return rule.str();
}

using Observe = std::function<void(size_t op, const torch::Tensor& value)>;

// Calls `observe` with every value of every batch; returns the number of images.
int64_t observe_all(Network& network, const CalibrationBatches& batches, const Observe& observe) {
  at::NoGradGuard no_grad;
  Executor executor(network.graph, network.parameters);
  size_t next = 0;
  executor.observe([&](const Op&, const torch::Tensor& value) { observe(next++, value); });
  int64_t images = 0;
  for (int64_t b = 0; b < batches.count; ++b) {
    const torch::Tensor batch = batches.batch(b);
    if (batch.size(0) == 0) continue;
    images += batch.size(0);
    observe(0, batch);
    next = 1;
    executor.forward(batch, NormMode::kRunning);
  }
  return images;
}

ValueRange chosen(const Histogram& histogram, const ValueForm& form,
                  const CalibrationOptions& options) {
  switch (options.method) {
    case RangeMethod::kMinMax:
      break;
    case RangeMethod::kPercentile:
      return percentile_range(histogram, form, options.percentile);
    case RangeMethod::kMse:
      return mse_range(histogram, form);
    case RangeMethod::kEntropy:
      return entropy_range(histogram, form);
  }
  return {histogram.low, histogram.high};
}

// What a histogram of values in `range` must hold for percentile_range().
Histogram empty_histogram(const ValueRange& range, const ValueForm& form) {
  Histogram histogram{.low = std::min(range.low, 0.0),
                      .high = std::max(range.high, 0.0),
                      .counts = std::vector<double>(kBins)};
  if (form.type == IntegerType::kS8) {
    histogram.high = std::max(histogram.high, -histogram.low);
    histogram.low = -histogram.high;
  }
  return histogram;
}

}  // namespace

ValueRange percentile_range(const Histogram& histogram, const ValueForm& form, double percentile) {
  const double share = percentile / 100;
  if (form.type == IntegerType::kS8) {
    const double magnitude = quantile(folded(histogram), share);
    return {-magnitude, magnitude};
  }
  if (!form.is_negative) return {0, quantile(histogram, share)};
  const double rest = (1 - share) / 2;
  return {std::min(quantile(histogram, rest), 0.0), std::max(quantile(histogram, 1 - rest), 0.0)};
}

ValueRange mse_range(const Histogram& histogram, const ValueForm& form) {
  ValueRange best;
  double least = std::numeric_limits<double>::infinity();
  for (int part = kParts; part > 0; --part) {
    const ValueRange range{histogram.low * part / kParts, histogram.high * part / kParts};
    const double error = squared_error(histogram, value_scale(form, range));
    if (error < least) {
      least = error;
      best = range;
    }
  }
  return best;
}

ValueRange entropy_range(const Histogram& all, const ValueForm& form) {
  Histogram histogram = all;
  const size_t bins = histogram.counts.size();
  const double zero = form.is_negative ? -histogram.low / histogram.width() : 0;
  // Zeros are exact whatever the range: those that ReLU makes would drown the rest.
  const auto zero_bin = std::min(size_t(zero), bins - 2);
  histogram.counts[zero_bin] = histogram.counts[zero_bin + 1];
  ValueRange best{histogram.low, histogram.high};
  double least = std::numeric_limits<double>::infinity();
  for (size_t kept = bins; kept >= kLevels; kept -= 8) {
    const double part = double(kept) / double(bins);
    const auto begin = size_t(std::nearbyint(zero * (1 - part)));
    const double value = divergence(histogram, begin, begin + kept);
    if (value < least) {
      least = value;
      best = {histogram.low * part, histogram.high * part};
    }
  }
  return best;
}

std::vector<Calibration> calibrate(Network& folded,
                                   const std::vector<std::optional<ValueForm>>& forms,
                                   const CalibrationBatches& batches,
                                   const std::vector<CalibrationOptions>& options) {
  const std::vector<Op>& ops = folded.graph.ops;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<ValueRange> all(ops.size(), {kInfinity, -kInfinity});
  const int64_t images = observe_all(folded, batches, [&](size_t i, const torch::Tensor& value) {
    if (!is_observed(forms[i])) return;
    const auto [low, high] = value.aminmax();
    ValueRange& range = all[i];
    if (std::isnan(range.low)) return;
    if (!(low.item<double>() >= range.low)) range.low = low.item<double>();
    if (!(high.item<double>() <= range.high)) range.high = high.item<double>();
  });
  if (images == 0) {
    throw Error("no image to calibrate on can be decoded; repair the training images");
  }
  std::vector<Histogram> histograms(ops.size());
  for (size_t i = 0; i < ops.size(); ++i) {
    if (!is_observed(forms[i])) {
      all[i] = {};
      continue;
    }
    require_finite_range(ops[i], all[i]);
    histograms[i] = empty_histogram(all[i], *forms[i]);
  }
  std::vector<Calibration> results;
  for (const CalibrationOptions& each : options) {
    results.push_back({.ranges = all, .images = images, .rule = rule_of(each, images)});
  }
  if (std::ranges::all_of(options, [](const CalibrationOptions& each) {
        return each.method == RangeMethod::kMinMax;
      })) {
    return results;
  }
  observe_all(folded, batches, [&](size_t i, const torch::Tensor& value) {
    Histogram& histogram = histograms[i];
    if (!is_observed(forms[i]) || histogram.high == histogram.low) return;
    const auto counts = value.to(torch::kFloat).cpu().histc(kBins, histogram.low, histogram.high);
    const float* from = counts.data_ptr<float>();
    for (size_t bin = 0; bin < histogram.counts.size(); ++bin) {
      histogram.counts[bin] += double(from[bin]);
    }
  });
  for (size_t i = 0; i < ops.size(); ++i) {
    if (!is_observed(forms[i]) || histograms[i].high <= histograms[i].low) continue;
    for (size_t k = 0; k < options.size(); ++k) {
      if (options[k].method == RangeMethod::kMinMax) continue;
      results[k].ranges[i] = chosen(histograms[i], *forms[i], options[k]);
    }
  }
  return results;
}

torch::Tensor first_images(const CalibrationBatches& batches, const Graph& graph) {
  int64_t largest = 1;
  for (const Op& op : graph.ops) largest = std::max(largest, op.output.elements());
  const int64_t most = std::max<int64_t>(1, kMostElements / largest);
  std::vector<torch::Tensor> images;
  int64_t count = 0;
  for (int64_t b = 0; b < batches.count && count < most; ++b) {
    const torch::Tensor batch = batches.batch(b);
    images.push_back(batch.narrow(0, 0, std::min(batch.size(0), most - count)));
    count += images.back().size(0);
  }
  if (count == 0) throw Error("no image to quantise by can be decoded");
  return torch::cat(images);
}

}  // namespace ridgewalk
