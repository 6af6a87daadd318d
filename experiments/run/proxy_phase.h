// A search stage whose architectures are judged by a training-free proxy.
#pragma once

#include "experiments/run/search_phase.h"

namespace ridgewalk {

// Tries architectures of the stage's space near the targets, random or evolved, and takes the one
// with the largest proxy. Trains nothing and leaves no weights. It can be stopped at any time and
// resumes from the run's checkpoint; results do not depend on the number of lanes, in which random
// search judges.
StageOutcome proxy_phase(const SearchContext& context, SearchStage stage,
                         const StartingPoint& start);

}  // namespace ridgewalk
