// What `describe` says of a network, in JSON.
#pragma once

#include <optional>

#include "experiments/run/json.h"
#include "roofline/latency_model.h"
#include "roofline/profile.h"
#include "space/architecture.h"
#include "space/graph.h"

namespace ridgewalk {

// How MACs, bytes, memory and seconds are counted.
struct Counting {
  NetworkTypes types;
  ByteConvention convention;
  int batch;  // MACs, bytes, memory and time are of so many images
  std::optional<Profile> profile;
  std::optional<LatencyModel> model;  // of the profile
};

// Whether a profile has the picojoules of a MAC and of a byte.
bool knows_energy(const Profile& profile);
// The profile knows energy, but not in the data types that are asked for.
bool lacks_energy_of_type(const Counting& counting);

// Of the whole network. `graph` is the architecture's.
Json network_totals(const Graph& graph, const Architecture& architecture, const Counting& counting);
// The same, and `ops`: each with its shapes and costs.
Json network_description(const Graph& graph, const Architecture& architecture,
                         const Counting& counting);
// The maps at strides 4 to 32: [{name, op, stride, shape}].
Json features_json(const Graph& graph);

}  // namespace ridgewalk
