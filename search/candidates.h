// Architectures that a stage may answer with, tried with the shared weights.
#pragma once

#include <random>
#include <vector>

#include "roofline/cost_table.h"
#include "search/reward.h"
#include "search/shared_weights.h"

namespace ridgewalk {

struct Candidate {
  Decisions decisions;
  double probability = 0;  // with the controller; 0 where there is none
  double accuracy = 0;     // on the whole search-validation split, shared weights
  double reward = 0;
  std::vector<Macs> latency;  // one a ridge point of the targets
};

// What prices and rewards an architecture of a space; all must outlive it.
struct Trial {
  const SearchSpace& space;
  const CostTable& table;
  const Reward& reward;
  SharedWeights& weights;

  Candidate operator()(const Decisions& decisions) const;
};

// By reward, the more probable of equals first.
bool is_better(const Candidate& a, const Candidate& b);

// A uniform sample of the space that misses the targets by at most `tolerance`. Throws Error when a
// million samples hold none.
Decisions sample_near_targets(const SearchSpace& space, const CostTable& table,
                              const Reward& reward, double tolerance, std::mt19937_64& random);

// `count` different ones; fewer where chance finds no more.
std::vector<Decisions> samples_near_targets(const SearchSpace& space, const CostTable& table,
                                            const Reward& reward, double tolerance, int count,
                                            std::mt19937_64& random);

// `parent` with one choice of those in use changed; choices that come into use are drawn uniformly.
Decisions mutated(const SearchSpace& space, const Decisions& parent, std::mt19937_64& random);

struct TrialOptions {
  int evaluations = 64;     // architectures tried, all different where the space has as many
  double tolerance = 0.05;  // by which they may miss the targets
  int population = 16;      // of evolution
  int tournament = 4;
  bool operator==(const TrialOptions&) const = default;
};

// The best of uniform samples. In the order tried.
std::vector<Candidate> random_search(const Trial& trial, const TrialOptions& options,
                                     std::mt19937_64& random);

// Regularised evolution (arXiv 1802.01548, algorithm 1): the best of a tournament has a mutated
// child, the oldest dies. Parents and children alike stay near the targets. In the order tried.
std::vector<Candidate> evolution(const Trial& trial, const TrialOptions& options,
                                 std::mt19937_64& random);

}  // namespace ridgewalk
