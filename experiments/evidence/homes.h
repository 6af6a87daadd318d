// What networks that were found for some ridge points cost at others.
#pragma once

#include <string>
#include <vector>

#include "experiments/run/run_folder.h"
#include "roofline/latency.h"
#include "space/architecture.h"

namespace ridgewalk {

struct Traveller {
  std::string home;  // name of the targets that it was found for
  std::string way;   // that it was found by
  uint64_t seed = 0;
  Architecture architecture;
  double test_top1 = 0;  // trained from scratch
};

// By home and way, in the order of the first of each: {home, way, networks, test_top1,
// relative_latency: [{ridge_point, mean, low, high}], worst: of 0 to 500}; latency is relative
// to the reference's at the same ridge point. Means over the seeds with 95 % intervals.
Json abroad_json(const std::vector<Traveller>& travellers, const Architecture& reference,
                 const std::vector<MacsPerByte>& ridge_points);
std::string abroad_text(const Json& abroad);
// A row a network.
Json travellers_json(const std::vector<Traveller>& travellers, const Architecture& reference,
                     const std::vector<MacsPerByte>& ridge_points);

}  // namespace ridgewalk
