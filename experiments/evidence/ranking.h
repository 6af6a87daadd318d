// How far the accuracy with shared weights ranks networks as their own training does.
#pragma once

#include <string>
#include <vector>

#include "experiments/run/run_folder.h"

namespace ridgewalk {

// One network, judged twice.
struct RankedNetwork {
  std::string name;
  double shared_top1 = 0;  // with shared weights, on the search-validation split
  double shared_loss = 0;  // mean cross-entropy, likewise
  // Trained from scratch, one a seed: on the search-validation split, on test images.
  std::vector<double> alone_top1, alone_test;
  double parameters = 0;
  double macs = 0;
  std::vector<double> of_target;  // latency over the target's, one a target
};

// Each figure with the middle 95 % of bootstrap resamples of the networks; a network's accuracy
// from scratch is the mean over its trainings:
//   pairs: one for each way to compare, {shared, alone, kendall_tau_b, spearman}; with several
//     trainings of every network also one training against another, and
//   best_spearman: of a judge without error, as far as that agreement tells
//   regret: of the network with the best shared accuracy, in test accuracy to the best of all
//   beside it: the spread of the networks' test accuracy, the regret of a random pick
Json ranking_json(const std::vector<RankedNetwork>& networks, uint64_t seed);

// The figures as text.
std::string ranking_text(const Json& ranking);
// One object a network; CSV with the same names as columns.
Json ranked_json(const std::vector<RankedNetwork>& networks);
std::string ranking_csv(const std::vector<RankedNetwork>& networks);

}  // namespace ridgewalk
