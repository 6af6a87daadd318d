// Laws of a calibrated machine that are corrected by measuring networks near a search's optimum.
#pragma once

#include <functional>
#include <vector>

#include "experiments/run/results.h"

namespace ridgewalk {

// Fewer networks say nothing of the laws: each is predicted by the median of the others.
inline constexpr int kFewestRecalibrating = 3;

// In the middle of a stage the laws of the targets' calibrated machine are held against it.
struct Recalibration {
  int networks = 0;  // near the optimum; 0: none
  // The machine's latencies over those that the profile's laws say, one per network.
  std::function<std::vector<double>(const std::vector<Architecture>&, const Profile&)> ratios = {};
};

// By what factor laws are better near the optimum, of at least kFewestRecalibrating networks, and
// the mean errors of networks, each predicted without itself. The factor is 1 where that would not
// make them smaller.
RecalibrationResult recalibrated(const std::vector<double>& ratios);

// The laws of the targets' calibrated machine take `factor` times as long.
Reward with_law_factor(const Reward& reward, double factor);

}  // namespace ridgewalk
