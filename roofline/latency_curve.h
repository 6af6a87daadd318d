// Latency as an exact function of the ridge point, and what follows from it: where two networks
// swap places, and where each network is worth its latency. Nothing here is sampled.
#pragma once

#include <span>
#include <vector>

#include "roofline/cost.h"

namespace ridgewalk {

// From the ridge point `from` up to that of the next piece, latency is macs + ridge point * bytes:
// the MACs of the operations that are bound by compute there, and the bytes of those bound by
// memory.
struct LatencyPiece {
  MacsPerByte from = {};
  Macs macs = {};
  Bytes bytes = {};
};

// The sum over operations of max(MACs, ridge point * bytes) (MobileNetV4, equation 1): continuous,
// convex and piecewise linear, with a break at each operation's intensity. The first piece starts
// at 0 and the last never ends. Coefficients are sums of whole numbers, so they are exact.
using LatencyCurve = std::vector<LatencyPiece>;
LatencyCurve latency_curve(std::span<const OpCost> costs, DataType type = DataType::kInt8);

// In units of one MAC at peak, without the rounding of op_time().
Macs latency_at(const LatencyCurve& curve, MacsPerByte ridge_point);

// A range of ridge points.
struct RidgeRange {
  MacsPerByte low = {};
  MacsPerByte high = {};
  bool operator==(const RidgeRange&) const = default;
};

// Which of two networks is faster from `from` to the next lead's: the first (-1), the second (1),
// or neither (0).
struct Lead {
  MacsPerByte from = {};
  int faster = 0;
  bool operator==(const Lead&) const = default;
};

// The leads of two networks in the order of the ridge point; the first starts at `range.low`. A
// network that only touches the other at one point leaves the lead as it was.
std::vector<Lead> leads(const LatencyCurve& first, const LatencyCurve& second, RidgeRange range);

// The leads with which the network that was slower takes over: where the two swap places.
std::vector<Lead> swaps(const LatencyCurve& first, const LatencyCurve& second, RidgeRange range);

// What the Pareto front knows of a network.
struct RatedCurve {
  LatencyCurve latency;
  double accuracy = 0;
};

// For each network the ranges of ridge points within `range` where it is on the Pareto front: where
// no other is at least as fast and as accurate, and better in one of the two. Ends are swap points;
// ranges are in order and do not touch. A network that is never on the front has none.
std::vector<std::vector<RidgeRange>> pareto_front(std::span<const RatedCurve> networks,
                                                  RidgeRange range);

}  // namespace ridgewalk
