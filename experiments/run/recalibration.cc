#include "experiments/run/recalibration.h"

#include <cmath>

#include "roofline/statistics.h"

namespace ridgewalk {

Reward with_law_factor(const Reward& reward, double factor) {
  const Target* calibrated = calibrated_target(reward.targets);
  return calibrated == nullptr || factor == 1 ? reward
                                              : reward.slowed(calibrated->profile->name, factor);
}

RecalibrationResult recalibrated(const std::vector<double>& ratios) {
  const auto median_without = [&](size_t left_out) {
    std::vector<double> others;
    for (size_t i = 0; i < ratios.size(); ++i) {
      if (i != left_out) others.push_back(ratios[i]);
    }
    return quantile(others, 0.5);
  };
  std::vector<double> before, after;
  for (size_t i = 0; i < ratios.size(); ++i) {
    before.push_back(std::abs(1 / ratios[i] - 1));
    after.push_back(std::abs(median_without(i) / ratios[i] - 1));
  }
  RecalibrationResult result{.networks = int(ratios.size()), .error_before = mean(before)};
  const bool is_better = mean(after) < mean(before);
  result.factor = is_better ? quantile(ratios, 0.5) : 1;
  result.error_after = is_better ? mean(after) : result.error_before;
  return result;
}

}  // namespace ridgewalk
