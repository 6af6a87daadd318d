// What results depend on beside a run's own settings, as text: a run is gone on with only where all
// of it is as it was.
#pragma once

#include <string>

#include "search/reward.h"
#include "supernet/network/parameters.h"
#include "supernet/training/distillation.h"

namespace ridgewalk {

// Device, precision and the threads of this process: sums are taken in another order with others.
std::string fingerprint_of(const Compute& compute);
// Ridge points and latencies, whatever the profile or the network that they came from is now.
std::string fingerprint_of(const Reward& reward);
// Labels by their file's bytes, a teacher by its values.
std::string fingerprint_of(const Distillation& distillation, const Dataset& data);
std::string fingerprint_of(const ParameterStore& weights);

}  // namespace ridgewalk
