// Ridge point, peak and terms of a device from the measured latencies of networks.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "roofline/latency_curve.h"

namespace ridgewalk {

// Where a fit looks: a figure at one of these ends is only a bound.
inline constexpr double kHighestRidgePoint = 1000;
inline constexpr double kLowestRidgePoint = 0.05;  // below it only 0 is tried
inline constexpr double kHighestDepthwiseCost = 64;

// What a latency is predicted from.
struct NetworkWork {
  std::string name;
  LatencyCurve dense, depthwise;
  Macs macs = {};
  Bytes bytes = {};
  int kernels = 0;
};
// How work is counted: of `batch` images together, whose weights are read once.
struct WorkCounting {
  DataType type = DataType::kInt8;
  ByteConvention bytes = ByteConvention::kMnv4;
  KernelConvention kernels = KernelConvention::kFused;
  int batch = 1;
};
NetworkWork network_work(const std::string& name, const Graph& graph, const WorkCounting& counting);

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
  bool operator==(const FitTerms&) const = default;
};

struct Fit {
  MacsPerByte ridge_point = {};
  double seconds_per_mac = 0;  // 1 / peak; 0 where the terms explain everything
  double depthwise_cost = 1;
  Seconds op_overhead = {};
  Seconds floor = {};

  Seconds predict(const NetworkWork& work) const;
};

// How many figures such a fit finds.
size_t unknowns_of(const FitTerms& terms, std::optional<MacsPerByte> ridge_point);

// Least squares on relative error, sum of (predicted / measured - 1)^2: over the ridge point, 0 to
// 1000, and the depthwise cost, 1 to 64, by search; over all else, never below 0, exactly. A given
// ridge point is kept. Throws Error with fewer networks than unknowns.
Fit fit(std::span<const Measured> networks, const FitTerms& terms,
        std::optional<MacsPerByte> ridge_point = std::nullopt);

}  // namespace ridgewalk
