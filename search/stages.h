// Coarse, fine, hybrid: the space of each stage follows from the result of the stage before. Single
// is coarse and fine in one.
#pragma once

#include <functional>
#include <optional>

#include "search/tunas.h"

namespace ridgewalk {

enum class SearchStage { kCoarse, kFine, kHybrid, kSingle };
template <>
inline constexpr auto kNames<SearchStage> =
    name_table<SearchStage>("stage", {{SearchStage::kCoarse, "coarse"},
                                      {SearchStage::kFine, "fine"},
                                      {SearchStage::kHybrid, "hybrid"},
                                      {SearchStage::kSingle, "single"}});

// The stage whose result a stage starts from.
std::optional<SearchStage> stage_before(SearchStage stage);

// The space that a stage searches. The fine stage needs the coarse result, the hybrid stage the
// fine one.
SearchSpace searched_space(const SearchSpace& space, SearchStage stage,
                           const std::optional<Architecture>& previous);

// Runs a stage to its end. `after_step` gets every record and may throw to stop.
StageResult run_stage(TunasSearch& search, SharedWeights& weights,
                      const std::function<void(const StepRecord&)>& after_step);

}  // namespace ridgewalk
