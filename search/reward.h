// What a search maximises: a trade-off of accuracy and latency.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "roofline/latency_model.h"
#include "space/names.h"

namespace ridgewalk {

// absolute:  accuracy + beta * |latency / target - 1|  (TuNAS, equation 3)
// mnas_soft: accuracy * (latency / target)^beta  (MnasNet, equation 2, alpha = beta)
// mnas_hard: the same above the target, plain accuracy below it  (MnasNet, alpha = 0)
enum class RewardForm { kAbsolute, kMnasSoft, kMnasHard };
template <>
inline constexpr auto kNames<RewardForm> =
    name_table<RewardForm>("form of reward", {{RewardForm::kAbsolute, "absolute"},
                                              {RewardForm::kMnasSoft, "mnas_soft"},
                                              {RewardForm::kMnasHard, "mnas_hard"}});

// How several targets make one reward: the terms of all targets count, or only the worst one.
enum class Combine { kSum, kWorst };
template <>
inline constexpr auto kNames<Combine> = name_table<Combine>(
    "way to combine targets", {{Combine::kSum, "sum"}, {Combine::kWorst, "worst"}});

// How a range of ridge points makes one ratio: its largest, or its mean.
enum class Reduce { kWorst, kMean };
template <>
inline constexpr auto kNames<Reduce> = name_table<Reduce>(
    "reduction of a range", {{Reduce::kWorst, "worst"}, {Reduce::kMean, "mean"}});

// A latency to meet, on one device or at each of a range of ridge points; or an amount of another
// resource.
struct Target {
  std::string name;  // as the user gave it: a profile, a ridge point, a range
  std::vector<LatencyModel> models;
  std::vector<Macs> latency;  // one per model, in units of one MAC at its peak
  Reduce reduce = Reduce::kWorst;
  bool is_limit = false;                // what is below it is as good
  bool is_relative = false;             // `latency` is a share of a reference's, by `models`
  std::optional<Profile> profile = {};  // of the device, where it has one

  // Latency relative to the target's, of a range reduced to one number. `measured` has one value
  // per model.
  double ratio(std::span<const Macs> measured) const;
};

// The target of single images whose profile has measured laws; nullptr where there is none.
const Target* calibrated_target(const std::vector<Target>& targets);

// `count` ridge points from `first` to `last`, both included, evenly spaced in log(1 + ridge
// point): relative latencies change fastest at low ridge points.
std::vector<MacsPerByte> spread_ridge_points(double first, double last, int count);

// What is above a limit costs as if it were a target, what is below it nothing.
// In all functions `latency` has one value per model, target after target.
struct Reward {
  RewardForm form = RewardForm::kAbsolute;
  double beta = -0.1;
  Combine combine = Combine::kSum;
  std::vector<Target> targets;  // without any, the reward is the accuracy

  double operator()(double accuracy, std::span<const Macs> latency) const;

  std::vector<LatencyModel> models() const;
  std::vector<double> ratios(std::span<const Macs> latency) const;  // one per target
  // By how much a latency misses the targets: the largest |ratio - 1|, infinite above a limit.
  double miss(std::span<const Macs> latency) const;
  bool is_within_limits(std::span<const Macs> latency) const;

  // Where the machine with this profile takes `factor` times as long as its laws say.
  Reward slowed(const std::string& profile, double factor) const;
};

}  // namespace ridgewalk
