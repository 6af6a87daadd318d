// Coarse, fine, hybrid: each stage's space follows from the result of the one before.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "search/tunas.h"

namespace ridgewalk {

enum class SearchStage { kCoarse, kFine, kHybrid };
std::string_view to_string(SearchStage stage);

// The space that a stage searches. Fine needs the coarse result, hybrid the fine one.
SearchSpace stage_space(const SearchSpace& space, SearchStage stage,
                        const std::optional<Architecture>& previous);

// Runs a stage to its end. `after_step` sees every record; it may throw to stop.
StageResult run_stage(TunasSearch& search, SharedWeights& weights,
                      const std::function<void(const StepRecord&)>& after_step);

}  // namespace ridgewalk
