// Networks over the ridge point: what `ridgewalk sweep` writes and what reports draw.
#pragma once

#include <string>
#include <vector>

#include "experiments/report/ratings.h"
#include "roofline/cost.h"

namespace ridgewalk {

// Everything that sweep.json holds: latencies of `batch` images at `points`, the costs of every
// operation for these (on_axis()), the ranges of ridge points on the Pareto front and the swap
// points, both exact, from 0 to 500 or the last of `points`.
Json sweep_json(const std::vector<NetworkRecord>& networks, const std::vector<MacsPerByte>& points,
                NetworkTypes types, int batch = 1);

// Columns network,ridge_point,latency_macs.
std::string sweep_csv(const Json& sweep);

// Profiles as marks on the ridge-point axis of a data type: the built-in ones and `more` (names or
// files). A mark's ridge_point is its place on the axis, where bytes of another width count as many
// times.
Json profile_marks(const std::vector<std::string>& more = {}, DataType axis = DataType::kInt8);

}  // namespace ridgewalk
