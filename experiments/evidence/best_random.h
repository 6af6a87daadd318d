// The baseline that a search must beat: what its own budget buys without it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/evidence/estimate.h"
#include "experiments/run/network_record.h"

namespace ridgewalk {

// The best, by search-validation, of as many random networks as the budget of a network's way would
// have trained.
struct BestRandom {
  int count = 0;         // at least 1: the budget includes a training
  int trained = 0;       // of the seed; where they are fewer, the best of these is a lower bound
  double test_top1 = 0;  // expected over all choices of that many of the seed's random networks
};
// Of a network of `networks`; of a random one, the best of all of its seed. Nothing where budgets
// or trainings of random networks are not known.
std::optional<BestRandom> best_random(const NetworkRecord& network,
                                      const std::vector<NetworkRecord>& networks);

// The networks of a way beside that, over the seeds.
struct AgainstBestRandom {
  Estimate count, test_top1;
  Estimate difference;   // test accuracy less that
  int most_lacking = 0;  // random networks that a seed lacks
};
std::optional<AgainstBestRandom> against_best_random(Way way,
                                                     const std::vector<NetworkRecord>& networks);

// {networks, scratch_test_top1, over, lacking}
Json against_json(const AgainstBestRandom& against);

// A row of the table below a head.
struct WayAgainstBestRandom {
  Way way = {};
  AgainstBestRandom against;
};
std::string best_random_text(const std::vector<WayAgainstBestRandom>& ways);

}  // namespace ridgewalk
