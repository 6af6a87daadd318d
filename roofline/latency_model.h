// How a device's latencies come about: the roofline, what it leaves out, or measured laws.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "roofline/cost.h"
#include "roofline/profile.h"
#include "roofline/resource.h"

namespace ridgewalk {

// The plain roofline has only ridge point, data type and peak:
//   sum over ops of max(MACs / peak, bytes * ridge point / peak)
// Without a peak its latencies are relative: in times of one MAC at peak.
struct LatencyModel {
  MacsPerByte ridge_point = {};
  MacsPerSecond peak = {};  // 0 where it is not known
  DataType data_type = DataType::kInt8;
  // Of the head, all that follows the last stage, where it computes in another type, as the float
  // head of an int8 network does: one of its MACs then costs as much as so many of the others.
  std::optional<DataType> head_type = {};
  double head_mac_cost = 1;
  ByteConvention convention = ByteConvention::kMnv4;
  int batch = 1;  // a latency is of so many images that run together

  double depthwise_cost = 1;  // dense MACs that one depthwise MAC costs
  Seconds op_overhead = {};   // added by each kernel
  KernelConvention kernels = KernelConvention::kFused;
  Seconds floor = {};  // added by a network, however small
  Bytes cache = {};    // tensors up to this size move at cache_bandwidth; mnv4 only
  BytesPerSecond cache_bandwidth = {1};

  // Of a calibrated machine: they price in place of all above, and the peak is only the unit.
  std::vector<OpLaw> laws = {};
  ReadBandwidths bandwidths = {};
  MacsPerSecond bound_peak = {};  // of an op without a law; 0 where it is not known

  bool has_roofline = true;  // false where MACs and bytes cost nothing beside the overheads
  // No network was measured for the peak. Those of MobileNetV4, table 6, took 4 to 31 times what
  // the datasheets of two phones' GPUs say.
  bool is_by_datasheet = false;
  bool has_fitted_ridge_point = false;  // beside the datasheet's peak
  bool has_head_by_datasheet = false;   // what its MACs cost beside the others'
  std::optional<BatchRange> fitted_batches = {};
  std::string profile = {};  // that it is of, for messages

  // Of another resource than latency the data type counts, of memory and energy the batch, and of
  // energy its two figures: a price is then in bytes, parameters, MACs or picojoules.
  Resource resource = Resource::kLatency;
  double picojoules_per_mac = 0, picojoules_per_byte = 0;
  bool operator==(const LatencyModel&) const = default;

  NetworkTypes types() const { return {data_type, head_type.value_or(data_type)}; }
  // Ridge point and data type alone: the same at any peak.
  bool is_plain() const;
  // Whether seconds are a guess: by a datasheet, or of a batch beyond those that were measured.
  bool is_guess() const { return is_by_datasheet || has_head_by_datasheet || is_beyond_batches(); }
  bool is_beyond_batches() const;
  // Its ridge point on the axis of `type`: what the bytes of narrower elements would have to cost.
  MacsPerByte place_on_axis(DataType type) const;
};

// What makes it a guess, "by a datasheet's peak; no network was measured"; empty where it is none.
std::string why_guess(const LatencyModel& model);

// Plain ones without a peak.
std::vector<LatencyModel> rooflines(const std::vector<MacsPerByte>& ridge_points,
                                    DataType type = DataType::kInt8);

// What each term adds to the roofline, in this order; the cache's share is negative. Laws are not
// in it.
struct Prediction {
  Seconds roofline;
  Seconds depthwise;
  Seconds cache;
  Seconds op_overhead;
  Seconds floor;
  Seconds upper;  // of the roofline: MACs and bytes one after the other instead of at once
  Seconds sum;    // of all but `upper`: what price() says, over the peak
  Seconds total() const { return sum; }
};

// The model of a profile for a data type (the profile's own unless given); with its terms, and for
// its own data type its laws, when `with_terms`. Throws Error when the profile knows no peak for
// it: seconds need one.
LatencyModel latency_model(const Profile& profile, std::optional<DataType> type = std::nullopt,
                           bool with_terms = true);
// The same for relative latencies, which need no peak unless a term is in seconds.
LatencyModel relative_model(const Profile& profile, std::optional<DataType> type = std::nullopt);

// The same with the head in type `head`, where nothing is known of peaks: MACs take as much longer
// as elements are wider, as in vector units.
LatencyModel with_head(LatencyModel model, DataType head);
// The same with the head in type `head`, whose MACs are as much slower as the profile's peaks say.
// Throws Error when the profile lacks one of the two peaks, or has laws: these are of one type.
LatencyModel with_head(LatencyModel model, const Profile& profile, DataType head);

// Of another resource than latency.
LatencyModel resource_model(Resource resource, DataType type,
                            std::optional<DataType> head = std::nullopt);
// Of energy, in the given types or the profile's own. Throws Error when the profile does not know
// that of a MAC in one of them.
LatencyModel energy_model(const Profile& profile, std::optional<NetworkTypes> types = std::nullopt);

// Throws Error when the cache term is used with a convention other than mnv4.
Prediction predict(const Graph& graph, const LatencyModel& model);

// The latency of an op by its law; without a law, a lower bound: its MACs at peak, or its bytes
// from the fastest cache.
struct OpLatency {
  Seconds seconds = {};
  bool is_lower_bound = false;
};
// One per op of a graph whose norms are folded, as it is run, of `batch` images together: laws are
// fitted to single images. Throws Error when the profile has no laws.
std::vector<OpLatency> predict_ops(const Graph& folded, const Profile& profile, int batch = 1);

// What price() says of a profile with laws: the sum of predict_ops() once the norms of `graph` are
// folded, but for the last bits. Throws Error when the profile has no laws.
struct CalibratedLatency {
  Seconds total = {};
  std::vector<std::string> unknown = {};  // kinds of op without a law: then it is a lower bound
};
CalibratedLatency predict_by_laws(const Graph& graph, const Profile& profile, int batch = 1);

}  // namespace ridgewalk
