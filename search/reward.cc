#include "search/reward.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ridgewalk {

std::vector<MacsPerByte> spread_ridge_points(double first, double last, int count) {
  std::vector<MacsPerByte> points;
  for (int i = 0; i < count; ++i) {
    const double share = double(i) / (count - 1);
    points.push_back({(1 + first) * std::pow((1 + last) / (1 + first), share) - 1});
  }
  points.front().value = first, points.back().value = last;  // exactly
  return points;
}

double Target::ratio(std::span<const Macs> measured) const {
  double sum = 0, worst = 0;
  for (size_t i = 0; i < latency.size(); ++i) {
    const double ratio = measured[i] / latency[i];
    sum += ratio, worst = std::max(worst, ratio);
  }
  return reduce == Reduce::kWorst ? worst : sum / double(latency.size());
}

double Reward::operator()(double accuracy, std::span<const Macs> latency) const {
  // The absolute form adds one penalty per target; those of MnasNet multiply: their logarithms add.
  double sum = 0;
  double worst = 0;
  for (const Target& target : targets) {
    const double ratio = target.ratio(latency.first(target.latency.size()));
    latency = latency.subspan(target.latency.size());
    double term = beta * std::log(ratio);
    if (form == RewardForm::kAbsolute) term = beta * std::abs(ratio - 1);
    if (target.is_limit && ratio <= 1) term = 0;
    if (form == RewardForm::kMnasHard) term = std::min(term, 0.0);
    sum += term;
    worst = &target == &targets[0] ? term : std::min(worst, term);
  }
  const double term = combine == Combine::kSum ? sum : worst;
  return form == RewardForm::kAbsolute ? accuracy + term : accuracy * std::exp(term);
}

const Target* calibrated_target(const std::vector<Target>& targets) {
  const auto found = std::find_if(targets.begin(), targets.end(), [](const Target& target) {
    return target.profile && !target.models[0].laws.empty() && target.models[0].batch == 1;
  });
  return found == targets.end() ? nullptr : &*found;
}

Reward Reward::slowed(const std::string& profile, double factor) const {
  Reward reward = *this;
  for (Target& target : reward.targets) {
    if (!target.profile || target.profile->name != profile) continue;
    target.profile->op_laws = ridgewalk::slowed(target.profile->op_laws, factor);
    for (size_t i = 0; i < target.models.size(); ++i) {
      LatencyModel& model = target.models[i];
      if (model.laws.empty()) continue;
      model.laws = ridgewalk::slowed(model.laws, factor);
      // The reference takes longer too, but for its waits for weights.
      if (target.is_relative) target.latency[i] = factor * target.latency[i];
    }
  }
  return reward;
}

std::vector<LatencyModel> Reward::models() const {
  std::vector<LatencyModel> all;
  for (const Target& target : targets) {
    all.insert(all.end(), target.models.begin(), target.models.end());
  }
  return all;
}

std::vector<double> Reward::ratios(std::span<const Macs> latency) const {
  std::vector<double> result;
  for (const Target& target : targets) {
    result.push_back(target.ratio(latency.first(target.latency.size())));
    latency = latency.subspan(target.latency.size());
  }
  return result;
}

double Reward::miss(std::span<const Macs> latency) const {
  if (!is_within_limits(latency)) return std::numeric_limits<double>::infinity();
  double largest = 0;
  const std::vector<double> of = ratios(latency);
  for (size_t t = 0; t < targets.size(); ++t) {
    if (!targets[t].is_limit) largest = std::max(largest, std::abs(of[t] - 1));
  }
  return largest;
}

bool Reward::is_within_limits(std::span<const Macs> latency) const {
  const std::vector<double> of = ratios(latency);
  for (size_t t = 0; t < targets.size(); ++t) {
    if (targets[t].is_limit && of[t] > 1) return false;
  }
  return true;
}

}  // namespace ridgewalk
