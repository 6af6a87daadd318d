// What a ranking computes of each network: its accuracy with shared weights and its own trainings.
#pragma once

#include <string>
#include <vector>

#include "experiments/evidence/shared_judge.h"
#include "experiments/evidence/trainings.h"
#include "experiments/run/shared_trials.h"
#include "experiments/run/training_phase.h"

namespace ridgewalk {

// How each network is trained.
struct RankRecipe {
  TrainOptions train;
  int repeats = 1;  // trainings of each, those that it has included
  // Measures each training in int8, too.
  bool in_int8 = false;
  std::string trained = {};  // the folder with the weights of trainings that a network has already
};

// Throws Error where int8 needs the weights of an earlier training and there are none.
void require_earlier_weights(const RankRecipe& recipe, const Trainings& trainings);

// Judges every network, so far as the run has not done so; the same network under another name is
// judged once.
void judgement_phases(const SearchContext& context, const SearchSpace& space, SharedJudge& judge,
                      std::vector<NetworkRecord>& networks);

// Trains every network that lacks trainings, and measures all trainings in int8 where the recipe
// says so, so far as the run has not done so.
void training_phases(const SearchContext& context, const RankRecipe& recipe, Trainings& trainings);

// Every training with its measurement in int8, and every judgement, which take less time, as a
// trial for --workers. What is given must outlive the trials.
std::vector<SharedTrial> rank_trials(const RankRecipe& recipe, const Trainings& trainings,
                                     const SearchSpace& space, const SharedJudge& judge,
                                     const Dataset& data, const std::string& inputs);

}  // namespace ridgewalk
