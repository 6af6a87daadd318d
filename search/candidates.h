// Candidates for the result of a stage, evaluated with the shared weights.
#pragma once

#include <optional>
#include <random>
#include <vector>

#include "roofline/cost_table.h"
#include "search/reward.h"
#include "search/shared_weights.h"

namespace ridgewalk {

struct Candidate {
  Decisions decisions;
  double probability = 0;  // under the controller; 0 where there is none
  double accuracy = 0;     // on the whole search-validation split, shared weights
  double reward = 0;
  std::vector<Macs> latency;  // one per model of the targets
  bool is_within_limits = true;
};

// Evaluates architectures of a space. What it refers to must outlive it.
struct Trial {
  const SearchSpace& space;
  const CostTable& table;
  const Reward& reward;
  SharedWeights& weights;

  Candidate operator()(const Decisions& decisions) const;
};

// By whether it is within the limits, then by reward; among equals, by probability.
bool is_better(const Candidate& a, const Candidate& b);

// The member with the least of each limit, at each of its ridge points.
std::vector<Decisions> least_of_limits(const CostTable& table, const Reward& reward);
// One within all limits: among those, else among uniform samples of the space; if they have any.
std::optional<Decisions> any_within_limits(const SearchSpace& space, const CostTable& table,
                                           const Reward& reward);

// A uniform sample of the architectures that miss the targets by at most `tolerance`. Throws Error
// when there is none among a million samples of the space.
Decisions sample_near_targets(const SearchSpace& space, const CostTable& table,
                              const Reward& reward, double tolerance, std::mt19937_64& random);

// `count` different ones, or fewer when many tries find no new one.
std::vector<Decisions> samples_near_targets(const SearchSpace& space, const CostTable& table,
                                            const Reward& reward, double tolerance, int count,
                                            std::mt19937_64& random);

// `tolerance`; where the space has nothing that near, what the nearest hundredth of its samples
// miss the targets by. Later stages, and laws that were corrected on the way, may leave it nothing.
double tolerance_within_reach(const SearchSpace& space, const CostTable& table,
                              const Reward& reward, double tolerance);

// `parent` with one of its active choices changed; choices that become active are drawn uniformly.
Decisions mutated(const SearchSpace& space, const Decisions& parent, std::mt19937_64& random);

struct TrialOptions {
  int evaluations = 64;     // architectures tried, all different if the space has that many
  double tolerance = 0.05;  // by which they may miss the targets (tolerance_within_reach())
  int population = 16;      // of evolution
  int tournament = 4;
  bool operator==(const TrialOptions&) const = default;
};

// Uniform samples, in the order tried.
std::vector<Candidate> random_search(const Trial& trial, const TrialOptions& options,
                                     std::mt19937_64& random);

// Regularised evolution (arXiv 1802.01548, algorithm 1): a mutated copy of the winner of a
// tournament replaces the oldest member of the population. All members are near the targets. In the
// order tried.
std::vector<Candidate> evolution(const Trial& trial, const TrialOptions& options,
                                 std::mt19937_64& random);

}  // namespace ridgewalk
