// The phase of a run that trains one network.
#pragma once

#include <string>
#include <vector>

#include "experiments/run/context.h"
#include "experiments/run/results.h"

namespace ridgewalk {

// Trains an architecture and evaluates it on every split; leaves NAME.safetensors. It can be
// stopped at any step and resumes from the run's checkpoint; returns at once when the run already
// has the result.
TrainingResult training_phase(const RunContext& context, const std::string& name,
                              const Architecture& architecture, const TrainOptions& options);

// Trains a network with its quantisation simulated, and gives what was simulated. It can be stopped
// at any step and resumes from the run's checkpoint, which it leaves at the last step.
QuantizedNetwork quantization_aware_phase(const RunContext& context, const QuantizationAware& aware,
                                          const TrainOptions& options);

// One of several trainings of a run.
struct TrainingTask {
  std::string name;
  Architecture architecture;
  TrainOptions options;
};

// The training_phase() of each, as many at a time as the session has lanes, each in a part of the
// run; in a group of processes one after the other, each by all of them. Results in the order of
// the tasks; they do not depend on the number of lanes, nor does the run's log. When one fails, the
// others stop after a checkpoint.
std::vector<TrainingResult> training_phases(const RunContext& context,
                                            const std::vector<TrainingTask>& tasks);

}  // namespace ridgewalk
