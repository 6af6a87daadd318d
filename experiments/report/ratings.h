// Networks with the accuracies that they are rated by: published ones, and those that runs left.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/run/network_record.h"

namespace ridgewalk {

// The published accuracy of a catalogue name, where `architecture` has the resolution, channels and
// classes that the figure is for.
std::optional<RatedAccuracy> published_for(const std::string& name,
                                           const Architecture& architecture);

// The networks that a run of `search` or `train` left in `folder`, with the accuracies that its
// result.yaml gives. Of single stages: their results, with shared weights. Throws Error.
std::vector<NetworkRecord> networks_of_run(const std::string& folder);

}  // namespace ridgewalk
