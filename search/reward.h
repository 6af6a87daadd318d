// What a search maximises: accuracy traded against latency.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roofline/latency.h"

namespace ridgewalk {

// absolute:  accuracy + beta * |latency / target - 1|  (TuNAS, equation 3)
// mnas_soft: accuracy * (latency / target)^beta  (MnasNet, equation 2, alpha = beta)
// mnas_hard: the same where above the target, accuracy below it  (MnasNet, alpha = 0)
enum class RewardForm { kAbsolute, kMnasSoft, kMnasHard };
std::optional<RewardForm> reward_form_named(std::string_view name);

// How several targets make one reward: every target's term counts, or only the worst one's.
enum class Combine { kSum, kWorst };
std::optional<Combine> combine_named(std::string_view name);

// How a range of ridge points makes one ratio: its largest, or its mean.
enum class Reduce { kWorst, kMean };
std::optional<Reduce> reduce_named(std::string_view name);

// A latency to be met, at a ridge point or at each of a range of them.
struct Target {
  std::string name;  // what the user called it: a profile, a ridge point, a range
  std::vector<MacsPerByte> ridge_points;
  std::vector<Macs> latency;  // one a ridge point, in units of one MAC at peak
  Reduce reduce = Reduce::kWorst;

  // Latency relative to the target's, of a range reduced to one number. `measured` holds one value
  // per ridge point.
  double ratio(std::span<const Macs> measured) const;
};

// `count` ridge points from `first` to `last`, both included, evenly spaced in log(1 + ridge
// point): relative latencies change fastest where the ridge point is low.
std::vector<MacsPerByte> spread_ridge_points(double first, double last, int count);

// In all functions `latency` holds one value a ridge point, target after target.
struct Reward {
  RewardForm form = RewardForm::kAbsolute;
  double beta = -0.1;
  Combine combine = Combine::kSum;
  std::vector<Target> targets;  // none: the reward is the accuracy

  double operator()(double accuracy, std::span<const Macs> latency) const;

  std::vector<MacsPerByte> ridge_points() const;
  std::vector<double> ratios(std::span<const Macs> latency) const;  // one a target
  // By how much a latency misses the targets: the largest |ratio - 1|.
  double miss(std::span<const Macs> latency) const;
};

}  // namespace ridgewalk
