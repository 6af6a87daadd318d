// What a search stage found, as its run keeps it.
#pragma once

#include "experiments/run/config.h"
#include "experiments/run/results.h"

namespace ridgewalk {

// Of a stage as it was searched: `space`, `reward` and `search` are its own.
struct SearchedStage {
  SearchStage stage;
  const SearchStageConfig& config;
  const SearchSpace& space;
  const Reward& reward;
  const TunasSearch& search;
};
StageOutcome stage_outcome(const SearchedStage& searched, const StageResult& found);

}  // namespace ridgewalk
