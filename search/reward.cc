#include "search/reward.h"

#include <algorithm>
#include <cmath>

namespace ridgewalk {

std::optional<RewardForm> reward_form_named(std::string_view name) {
  if (name == "absolute") return RewardForm::kAbsolute;
  if (name == "mnas_soft") return RewardForm::kMnasSoft;
  if (name == "mnas_hard") return RewardForm::kMnasHard;
  return std::nullopt;
}

std::optional<Combine> combine_named(std::string_view name) {
  if (name == "sum") return Combine::kSum;
  if (name == "worst") return Combine::kWorst;
  return std::nullopt;
}

double Reward::operator()(double accuracy, std::span<const Macs> latency) const {
  // The absolute form adds a penalty a target; MnasNet's multiply, so their logarithms add.
  double sum = 0;
  double worst = 0;
  for (size_t i = 0; i < targets.size(); ++i) {
    const double ratio = latency[i] / targets[i].latency;
    double term = beta * std::log(ratio);
    if (form == RewardForm::kAbsolute) term = beta * std::abs(ratio - 1);
    if (form == RewardForm::kMnasHard) term = std::min(term, 0.0);
    sum += term;
    worst = i == 0 ? term : std::min(worst, term);
  }
  const double term = combine == Combine::kSum ? sum : worst;
  return form == RewardForm::kAbsolute ? accuracy + term : accuracy * std::exp(term);
}

}  // namespace ridgewalk
