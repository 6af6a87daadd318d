// Ridge point, peak and terms of a device from the measured latencies of networks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "roofline/intervals.h"
#include "roofline/latency_curve.h"

namespace ridgewalk {

// What a latency is predicted from.
struct NetworkWork {
  std::string name;
  LatencyCurve dense, depthwise;
  Macs macs = {};
  Bytes bytes = {};
  int ops = 0;  // that have MACs
};
NetworkWork network_work(const std::string& name, const Graph& graph, DataType type,
                         ByteConvention convention);

struct Measured {
  NetworkWork work;
  Seconds latency;
  // Which network it is of. Rows of one network are one draw: they are held out together, drawn
  // together, and are no evidence of more than one network.
  std::string network;
};

// The terms that a fit may use beside ridge point and peak.
struct FitTerms {
  bool depthwise_cost = false;
  bool op_overhead = false;
  bool floor = false;
};

struct Fit {
  MacsPerByte ridge_point = {};
  double seconds_per_mac = 0;  // 1 / peak; 0 where the terms explain everything
  double depthwise_cost = 1;
  Seconds op_overhead = {};
  Seconds floor = {};

  Seconds predict(const NetworkWork& work) const;
};

// Least squares on relative error, sum of (predicted / measured - 1)^2: over the ridge point, 0 to
// 1000, and the depthwise cost, 1 to 64, by search; over all else, never below 0, exactly. A given
// ridge point is kept. Throws Error with fewer networks than unknowns.
Fit fit(const std::vector<const Measured*>& networks, const FitTerms& terms,
        std::optional<MacsPerByte> ridge_point = std::nullopt);

// One number per network times one fitted constant: what a roofline must beat.
enum class Baseline { kMacs, kOps, kBytes, kConstant };
template <>
inline constexpr auto kNames<Baseline> =
    name_table<Baseline>("baseline", {{Baseline::kMacs, "MACs alone"},
                                      {Baseline::kOps, "op count alone"},
                                      {Baseline::kBytes, "bytes alone"},
                                      {Baseline::kConstant, "a constant"}});

// Predictions for networks that the fit did not see, in the order of `networks`.
struct HeldOut {
  std::vector<double> roofline;                // seconds
  std::vector<std::vector<double>> baselines;  // one list per Baseline
};

// One network at a time up to 60 networks, ten shuffled parts above; all rows of a network are in
// one part. Throws Error where the networks that remain are fewer than the unknowns of the fit.
HeldOut cross_validate(const std::vector<Measured>& networks, const FitTerms& terms,
                       std::optional<MacsPerByte> ridge_point, uint64_t seed);
// Fitted on `train`, predicted for `test`, which has none of the same networks.
HeldOut hold_out(const std::vector<Measured>& train, const std::vector<Measured>& test,
                 const FitTerms& terms, std::optional<MacsPerByte> ridge_point);

// The middle 90 % of the ridge points of bootstrap resamples of the networks; resamples with fewer
// networks than unknowns are left out. The data determine the ridge point where the ends of that
// interval are within a factor of two and neither is an end of the search. There is no interval
// where all resamples agree to four digits, or with fewer than kFewestResampled networks, which
// determine nothing.
struct RidgeCertainty {
  std::optional<Interval> interval;
  bool is_determined = false;
};
RidgeCertainty ridge_certainty(const std::vector<Measured>& networks, const FitTerms& terms,
                               uint64_t seed);

}  // namespace ridgewalk
