#include "search/stages.h"

#include "space/derived_spaces.h"
#include "space/error.h"

namespace ridgewalk {

std::optional<SearchStage> stage_before(SearchStage stage) {
  if (stage == SearchStage::kFine) return SearchStage::kCoarse;
  if (stage == SearchStage::kHybrid) return SearchStage::kFine;
  return std::nullopt;
}

SearchSpace searched_space(const SearchSpace& space, SearchStage stage,
                           const std::optional<Architecture>& previous) {
  if (stage == SearchStage::kCoarse) return coarse_space(space);
  if (stage == SearchStage::kSingle) return single_space(space);
  if (!previous) {
    throw Error("the " + std::string(to_string(stage)) +
                " stage needs the result of the stage before");
  }
  return stage == SearchStage::kFine ? fine_space(space, *previous)
                                     : hybrid_space(space, *previous);
}

StageResult run_stage(TunasSearch& search, SharedWeights& weights,
                      const std::function<void(const StepRecord&)>& after_step) {
  while (!search.done()) after_step(search.advance(weights));
  return search.finish(weights);
}

}  // namespace ridgewalk
