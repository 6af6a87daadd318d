#include "search/front.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "space/error.h"

namespace ridgewalk {
namespace {

constexpr int kDraws = 30;             // samples, of which the one in the widest gap is tried
constexpr int kMostRejections = 1000;  // before a small space counts as exhausted

double ratio(const Reward& reward, const std::vector<Macs>& latency, size_t target) {
  return reward.ratios(latency)[target];
}

// Distance to the nearest of `values`; infinite if there are none.
double gap(const std::vector<double>& values, double value) {
  double nearest = INFINITY;
  for (double other : values) nearest = std::min(nearest, std::abs(other - value));
  return nearest;
}

}  // namespace

std::vector<size_t> pareto_front(const std::vector<Candidate>& tried, const Reward& reward,
                                 size_t target) {
  std::vector<double> ratios;
  for (const Candidate& one : tried) ratios.push_back(ratio(reward, one.latency, target));
  std::vector<size_t> order(tried.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (ratios[a] != ratios[b]) return ratios[a] < ratios[b];
    return tried[a].accuracy > tried[b].accuracy;
  });
  std::vector<size_t> front;
  for (size_t i : order) {
    if (front.empty() || tried[i].accuracy > tried[front.back()].accuracy) front.push_back(i);
  }
  return front;
}

std::vector<Candidate> search_fronts(const Trial& trial, int evaluations, std::mt19937_64& random) {
  const auto targets =
      size_t(std::count_if(trial.reward.targets.begin(), trial.reward.targets.end(),
                           [](const Target& target) { return !target.is_limit; }));
  std::vector<Candidate> tried;
  std::set<Decisions> seen;
  const auto try_new = [&](const Decisions& decisions) {
    seen.insert(decisions);
    tried.push_back(trial(decisions));
  };
  const auto is_within = [&](const Decisions& decisions) {
    return trial.reward.is_within_limits(trial.table.price(decisions));
  };
  const auto log_ratio = [&](const Decisions& decisions, size_t target) {
    return std::log(ratio(trial.reward, trial.table.price(decisions), target));
  };
  for (int tries = 0; 3 * int(tried.size()) < evaluations && tries < kMostRejections; ++tries) {
    const size_t target = tried.size() % targets;
    std::vector<double> taken;
    for (const Candidate& one : tried) taken.push_back(log_ratio(one.decisions, target));
    Decisions loneliest;
    double widest = -1;
    for (int draw = 0; draw < kDraws; ++draw) {
      const Decisions decisions = sample(trial.space, random);
      const double distance = gap(taken, log_ratio(decisions, target));
      if (seen.contains(decisions) || distance <= widest || !is_within(decisions)) continue;
      loneliest = decisions, widest = distance;
    }
    if (loneliest.empty()) continue;
    try_new(loneliest);
    tries = 0;
  }
  if (tried.empty()) {
    const auto within = any_within_limits(trial.space, trial.table, trial.reward);
    if (!within) {
      throw Error("no architecture of space '" + trial.space.name +
                  "' was found within all limits; give wider limits");
    }
    try_new(*within);
  }
  for (int tries = 0; int(tried.size()) < evaluations && tries < kMostRejections; ++tries) {
    const std::vector<size_t> front = pareto_front(tried, trial.reward, tried.size() % targets);
    const size_t parent = front[random() % front.size()];
    Decisions child = mutated(trial.space, tried[parent].decisions, random);
    if (random() % 2 == 0) child = mutated(trial.space, child, random);
    if (seen.contains(child) || !is_within(child)) continue;
    try_new(child);
    tries = 0;
  }
  return tried;
}

}  // namespace ridgewalk
