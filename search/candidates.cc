#include "search/candidates.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <set>
#include <stdexcept>
#include <tuple>

#include "space/error.h"

namespace ridgewalk {
namespace {

// Random tries at something new before giving up.
constexpr int kTries = 200;
// Samples among which one near the targets must be.
constexpr int kMostSamples = 1000000;

}  // namespace

Candidate Trial::operator()(const Decisions& decisions) const {
  Candidate candidate{.decisions = decisions, .latency = table.price(decisions)};
  candidate.accuracy = weights.validate(decisions);
  candidate.reward = reward(candidate.accuracy, candidate.latency);
  candidate.is_within_limits = reward.is_within_limits(candidate.latency);
  if (!std::isfinite(candidate.reward)) {
    throw std::runtime_error("the reward of a candidate is not finite");
  }
  return candidate;
}

bool is_better(const Candidate& a, const Candidate& b) {
  return std::tie(a.is_within_limits, a.reward, a.probability) >
         std::tie(b.is_within_limits, b.reward, b.probability);
}

std::vector<Decisions> least_of_limits(const CostTable& table, const Reward& reward) {
  std::vector<Decisions> list;
  size_t m = 0;
  const std::vector<CostTable::Range> reachable = table.reachable();
  for (const Target& target : reward.targets) {
    for (size_t i = 0; i < target.models.size(); ++i, ++m) {
      const Decisions& least = reachable[m].least;
      const bool is_new = std::find(list.begin(), list.end(), least) == list.end();
      if (target.is_limit && is_new) list.push_back(least);
    }
  }
  return list;
}

std::optional<Decisions> any_within_limits(const SearchSpace& space, const CostTable& table,
                                           const Reward& reward) {
  const auto is_within = [&](const Decisions& decisions) {
    return reward.is_within_limits(table.price(decisions));
  };
  for (const Decisions& least : least_of_limits(table, reward)) {
    if (is_within(least)) return least;
  }
  std::mt19937_64 random;
  for (int tries = 0; tries < kMostSamples; ++tries) {
    Decisions decisions = sample(space, random);
    if (is_within(decisions)) return decisions;
  }
  return std::nullopt;
}

Decisions sample_near_targets(const SearchSpace& space, const CostTable& table,
                              const Reward& reward, double tolerance, std::mt19937_64& random) {
  for (int tries = 0; tries < kMostSamples; ++tries) {
    Decisions decisions = sample(space, random);
    if (reward.miss(table.price(decisions)) <= tolerance) return decisions;
  }
  throw Error("no random architecture of space '" + space.name + "' comes within " +
              std::to_string(tolerance) + " of the targets; give a larger tolerance");
}

double tolerance_within_reach(const SearchSpace& space, const CostTable& table,
                              const Reward& reward, double tolerance) {
  std::mt19937_64 random;
  std::vector<double> misses;
  for (int tries = 0; tries < kMostSamples; ++tries) {
    misses.push_back(reward.miss(table.price(sample(space, random))));
    if (misses.back() <= tolerance) return tolerance;
  }
  std::erase_if(misses, [](double miss) { return std::isinf(miss); });  // above a limit
  if (misses.empty()) return tolerance;
  const auto nearest = misses.begin() + std::ptrdiff_t(misses.size() / 100);
  std::nth_element(misses.begin(), nearest, misses.end());
  return *nearest;
}

Decisions mutated(const SearchSpace& space, const Decisions& parent, std::mt19937_64& random) {
  const std::vector<Choice> list = choices(space);
  std::vector<size_t> open;
  for (size_t c = 0; c < list.size(); ++c) {
    if (parent[c] != kInactive && list[c].options.size() > 1) open.push_back(c);
  }
  if (open.empty()) return parent;
  Decisions child = parent;
  for (size_t c = 0; c < list.size(); ++c) {
    if (child[c] == kInactive) child[c] = int(random() % list[c].options.size());
  }
  const size_t c = open[random() % open.size()];
  const size_t others = list[c].options.size() - 1;
  child[c] = int((size_t(child[c]) + 1 + random() % others) % list[c].options.size());
  deactivate_unused(space, choice_layout(space), child);
  return child;
}

std::vector<Decisions> samples_near_targets(const SearchSpace& space, const CostTable& table,
                                            const Reward& reward, double tolerance, int count,
                                            std::mt19937_64& random) {
  std::vector<Decisions> samples;
  std::set<Decisions> seen;
  for (int tries = 0; int(samples.size()) < count && tries < kTries; ++tries) {
    const Decisions decisions = sample_near_targets(space, table, reward, tolerance, random);
    if (!seen.insert(decisions).second) continue;
    samples.push_back(decisions);
    tries = 0;
  }
  return samples;
}

std::vector<Candidate> random_search(const Trial& trial, const TrialOptions& options,
                                     std::mt19937_64& random) {
  std::vector<Candidate> tried;
  const double tolerance =
      tolerance_within_reach(trial.space, trial.table, trial.reward, options.tolerance);
  for (const Decisions& decisions : samples_near_targets(trial.space, trial.table, trial.reward,
                                                         tolerance, options.evaluations, random)) {
    tried.push_back(trial(decisions));
  }
  return tried;
}

std::vector<Candidate> evolution(const Trial& trial, const TrialOptions& options,
                                 std::mt19937_64& random) {
  const double tolerance =
      tolerance_within_reach(trial.space, trial.table, trial.reward, options.tolerance);
  TrialOptions first = options;
  first.evaluations = std::min(options.population, options.evaluations);
  first.tolerance = tolerance;
  std::vector<Candidate> tried = random_search(trial, first, random);
  std::set<Decisions> seen;
  for (const Candidate& candidate : tried) seen.insert(candidate.decisions);
  std::deque<size_t> population;  // indices into `tried`, oldest first
  for (size_t i = 0; i < tried.size(); ++i) population.push_back(i);
  const auto child_of = [&](const Decisions& parent) {
    for (int tries = 0; tries < kTries; ++tries) {
      Decisions child = mutated(trial.space, parent, random);
      // One change often moves the latency away from the target; a second may bring it back.
      if (tries % 2 == 1) child = mutated(trial.space, child, random);
      if (!seen.contains(child) && trial.reward.miss(trial.table.price(child)) <= tolerance) {
        return child;
      }
    }
    return sample_near_targets(trial.space, trial.table, trial.reward, tolerance, random);
  };
  while (int(tried.size()) < options.evaluations) {
    size_t parent = population[random() % population.size()];
    for (int i = 1; i < options.tournament; ++i) {
      const size_t rival = population[random() % population.size()];
      if (is_better(tried[rival], tried[parent])) parent = rival;
    }
    const Decisions child = child_of(tried[parent].decisions);
    seen.insert(child);
    population.push_back(tried.size());
    population.pop_front();
    tried.push_back(trial(child));
  }
  return tried;
}

}  // namespace ridgewalk
