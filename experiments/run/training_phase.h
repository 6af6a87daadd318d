// The phase of a run that trains one network.
#pragma once

#include <string>

#include "experiments/run/context.h"
#include "experiments/run/results.h"

namespace ridgewalk {

// Trains an architecture and evaluates it on every split; leaves NAME.safetensors. It can be
// stopped at any step and resumes from the run's checkpoint; returns at once when the run already
// has the result.
TrainingResult training_phase(const RunContext& context, const std::string& name,
                              const Architecture& architecture, const TrainOptions& options);

}  // namespace ridgewalk
