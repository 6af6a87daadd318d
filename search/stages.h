// Coarse, fine, hybrid: each stage's space follows from the result of the one before. Single is
// coarse and fine in one.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "search/tunas.h"

namespace ridgewalk {

enum class SearchStage { kCoarse, kFine, kHybrid, kSingle };
inline constexpr SearchStage kSearchStages[] = {SearchStage::kCoarse, SearchStage::kFine,
                                                SearchStage::kHybrid, SearchStage::kSingle};
std::string_view to_string(SearchStage stage);

// The stage whose result a stage starts from.
std::optional<SearchStage> stage_before(SearchStage stage);

// The space that a stage searches. Fine needs the coarse result, hybrid the fine one.
SearchSpace searched_space(const SearchSpace& space, SearchStage stage,
                           const std::optional<Architecture>& previous);

// Runs a stage to its end. `after_step` sees every record; it may throw to stop.
StageResult run_stage(TunasSearch& search, SharedWeights& weights,
                      const std::function<void(const StepRecord&)>& after_step);

}  // namespace ridgewalk
