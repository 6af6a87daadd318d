// Latency of a network on a device in seconds: the roofline, and on request what it leaves out.
#pragma once

#include <optional>

#include "roofline/cost.h"
#include "roofline/profile.h"

namespace ridgewalk {

// The plain roofline has only ridge point and peak:
//   sum over ops of max(MACs / peak, bytes * ridge point / peak)
struct LatencyModel {
  MacsPerByte ridge_point = {};
  MacsPerSecond peak = {};
  DataType data_type = DataType::kInt8;
  ByteConvention convention = ByteConvention::kMnv4;

  double depthwise_cost = 1;  // dense MACs that one depthwise MAC costs
  Seconds op_overhead = {};   // added by each op that has MACs
  Seconds floor = {};         // added by a network, however small
  Bytes cache = {};           // tensors up to this size move at cache_bandwidth; mnv4 only
  BytesPerSecond cache_bandwidth = {1};
};

// What each term adds to the roofline, in this order; the cache's share is negative.
struct Prediction {
  Seconds roofline;
  Seconds depthwise;
  Seconds cache;
  Seconds op_overhead;
  Seconds floor;
  Seconds upper;  // of the roofline: MACs and bytes one after the other instead of at once
  Seconds total() const { return roofline + depthwise + cache + op_overhead + floor; }
};

// The model of a profile for a data type (the profile's own unless given), its terms included when
// `with_terms`. Throws Error when the profile knows no peak for it: seconds need one.
LatencyModel latency_model(const Profile& profile, std::optional<DataType> type = std::nullopt,
                           bool with_terms = true);

// Throws Error when the cache term is used with a convention other than mnv4.
Prediction predict(const Graph& graph, const LatencyModel& model);

// The latency of an op by its law; without a law, a lower bound: its MACs at peak, or its bytes
// from the fastest cache.
struct OpLatency {
  Seconds seconds = {};
  bool is_lower_bound = false;
};
// One per op of a graph whose norms are folded, as it is run. Throws Error when the profile has no
// laws.
std::vector<OpLatency> predict_ops(const Graph& folded, const Profile& profile);

// The sum of predict_ops() once the norms of `graph` are folded.
struct CalibratedLatency {
  Seconds total = {};
  std::vector<std::string> unknown = {};  // kinds of op without a law: then it is a lower bound
};
CalibratedLatency predict_by_laws(const Graph& graph, const Profile& profile);

}  // namespace ridgewalk
