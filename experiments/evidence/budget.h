// What it takes to come to a network, as the MACs of all passes: the same on every machine, under
// any load and for any number of lanes, as seconds are not.
#pragma once

#include "experiments/run/context.h"
#include "experiments/run/results.h"

namespace ridgewalk {

// Of one network: an image that it is trained on takes three times the MACs of one that it is
// judged on, since the backward pass computes the gradients of values and of weights (Kaplan et
// al., arXiv 2001.08361, section 2.1).
Macs passes(const Graph& network, double trained_images, double judged_images);

// Images that pass through a candidate to judge it with shared weights: those held out, and those
// that its norms are calibrated on.
double candidate_images(const SearchConfig& config, const Dataset& data);

// Of a training from scratch, and of judging what it gave on search-validation.
Macs training_budget(const Architecture& architecture, const SearchConfig& config,
                     const Dataset& data);

// Of a finished stage, by the samples in the run's log and the candidates that it judged in the
// end. `space` is the one that it searched.
Macs stage_budget(const SearchContext& context, const StageOutcome& stage,
                  const SearchSpace& space);

}  // namespace ridgewalk
