// Networks that were found for different targets, their homes, priced at the ridge points of all.
#pragma once

#include <string>
#include <vector>

#include "experiments/evidence/estimate.h"
#include "experiments/run/network_record.h"
#include "roofline/latency_model.h"
#include "search/reward.h"

namespace ridgewalk {

// Where a network is priced: at a ridge point, or on a device that has more to it than that.
struct Place {
  LatencyModel model;
  std::string device = {};  // empty for a ridge point of int8
};

// All places of the targets and all ridge points, in ascending order, then the devices. A data type
// alone makes no device: its ridge point has a place on the axis of int8.
std::vector<Place> places_of(const std::vector<Target>& targets,
                             const std::vector<MacsPerByte>& ridge_points);

// A network's latency over the reference's at the same place.
struct RelativeLatency {
  std::vector<double> at = {};  // one per place
  double worst = 0;             // of ridge points 0 to 500
};

// Networks are priced at `places` in units of the reference's latency there.
struct Pricing {
  const Architecture& reference;
  std::vector<Place> places;
};
RelativeLatency relative_latency(const Architecture& architecture, const Pricing& pricing);

// The networks that one way found for one home: means over the seeds with 95 % intervals.
struct HomeSummary {
  std::string home;
  Way way = {};
  size_t networks = 0;
  Estimate test_top1 = {};
  std::vector<Estimate> at = {};  // relative latency, one per place of the pricing
  Estimate worst = {};
};
// Homes and ways in the order of their first networks.
std::vector<HomeSummary> summarize_homes(const std::vector<NetworkRecord>& networks,
                                         const Pricing& pricing);

Json homes_json(const std::vector<HomeSummary>& homes, const Pricing& pricing);
std::string homes_text(const std::vector<HomeSummary>& homes, const Pricing& pricing);
// One object per network.
Json priced_json(const std::vector<NetworkRecord>& networks, const Pricing& pricing);

}  // namespace ridgewalk
