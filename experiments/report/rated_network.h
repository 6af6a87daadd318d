// Networks with their accuracies: published ones, and those that runs left.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/run/run_folder.h"
#include "space/architecture.h"

namespace ridgewalk {

// Accuracies are held against each other only where `images` agree.
struct RatedAccuracy {
  double top1 = 0;     // share
  std::string images;  // "ImageNet-1k validation", "fashion-mnist test", ...
  std::string source;
};

struct RatedNetwork {
  Architecture architecture;
  std::optional<RatedAccuracy> accuracy = {};
};

// The published accuracy of a catalogue name, where `architecture` has the resolution, channels and
// classes that the figure is for.
std::optional<RatedAccuracy> published_for(const std::string& name,
                                           const Architecture& architecture);

// The accuracy in the result of training_phase(); nothing for null.
std::optional<RatedAccuracy> trained_accuracy(const Json& result);

// The networks that a run of `search` or `train` left in `folder`, with the accuracies that its
// result.yaml gives. Of single stages: their results, with shared weights. Throws Error.
std::vector<RatedNetwork> networks_of_run(const std::string& folder);

}  // namespace ridgewalk
