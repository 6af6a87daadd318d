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

// A latency to be met at a ridge point.
struct Target {
  std::string name;  // what the user called it: a profile or a ridge point
  MacsPerByte ridge_point;
  Macs latency;  // in units of one MAC at peak
};

struct Reward {
  RewardForm form = RewardForm::kAbsolute;
  double beta = -0.1;
  Combine combine = Combine::kSum;
  std::vector<Target> targets;  // none: the reward is the accuracy

  // `latency` holds one value a target, in their order.
  double operator()(double accuracy, std::span<const Macs> latency) const;
};

}  // namespace ridgewalk
