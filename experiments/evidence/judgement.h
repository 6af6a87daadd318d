// How well predicted latencies of networks held out meet the measured ones.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/evidence/figure.h"
#include "experiments/run/run_folder.h"
#include "roofline/held_out.h"

namespace ridgewalk {

// Figures of one predictor, each with its interval over networks.
struct Judgement {
  std::string predictor;
  Figure spearman, kendall_tau_b, mean_error, median_error, within_10;
};

// The roofline first, then the baselines that it must beat. A constant orders nothing, so that it
// has no rank correlation.
std::vector<Judgement> judge_all(const HeldOut& held_out, const std::vector<Measured>& networks,
                                 uint64_t seed);

// {PREDICTOR: {spearman, kendall_tau_b, mean_error, median_error, within_10_percent}, ...}
Json judgements_json(const std::vector<Judgement>& judgements);
std::string judgements_table(const std::vector<Judgement>& judgements);

}  // namespace ridgewalk
