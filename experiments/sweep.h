// Networks over the ridge point: what `ridgewalk sweep` writes and what reports draw.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/run_folder.h"
#include "roofline/cost.h"
#include "roofline/profile.h"
#include "space/architecture.h"

namespace ridgewalk {

// Accuracies are held against each other only where `images` agree.
struct RatedAccuracy {
  double top1 = 0;     // share
  std::string images;  // "ImageNet-1k validation", "fashion-mnist test", ...
  std::string source;
};

struct SweepNetwork {
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
std::vector<SweepNetwork> networks_of_run(const std::string& folder);

// Everything that sweep.json holds: latencies at `points`, the costs of every operation, the ranges
// of ridge points on the Pareto front and the swap points, both exact, from 0 to 500 or the last of
// `points`.
Json sweep_json(const std::vector<SweepNetwork>& networks, const std::vector<MacsPerByte>& points,
                DataType type);

// Columns network,ridge_point,latency_macs.
std::string sweep_csv(const Json& sweep);

// Profiles as marks on a ridge-point axis: the built-in ones and `more` (names or files).
Json profile_marks(const std::vector<std::string>& more = {});

}  // namespace ridgewalk
