#include "roofline/latency_curve.h"

#include <algorithm>

namespace ridgewalk {
namespace {

const LatencyPiece& piece_at(const LatencyCurve& curve, MacsPerByte ridge_point) {
  const auto after = std::upper_bound(
      curve.begin(), curve.end(), ridge_point,
      [](MacsPerByte point, const LatencyPiece& piece) { return point < piece.from; });
  return after == curve.begin() ? curve.front() : *(after - 1);
}

// The sign of a difference of two latencies; 0 within the rounding of doubles.
int sign(Macs difference, Macs latency) {
  const double tolerance = 1e-14 * latency.value;
  return (difference.value > tolerance) - (difference.value < -tolerance);
}

// The ends of `range` and the breaks of both curves between them.
std::vector<MacsPerByte> breaks(const LatencyCurve& first, const LatencyCurve& second,
                                RidgeRange range) {
  std::vector<MacsPerByte> points{range.low, range.high};
  for (const LatencyCurve* curve : {&first, &second}) {
    for (const LatencyPiece& piece : *curve) {
      if (range.low < piece.from && piece.from < range.high) points.push_back(piece.from);
    }
  }
  std::sort(points.begin(), points.end());
  points.erase(std::unique(points.begin(), points.end()), points.end());
  return points;
}

// Whether network `i` is dominated by `j` where the sign of their lead is `faster` (1: j is
// faster).
bool dominated(const RatedCurve& i, const RatedCurve& j, int faster) {
  return j.accuracy > i.accuracy ? faster >= 0 : j.accuracy == i.accuracy && faster > 0;
}

void append(std::vector<RidgeRange>& ranges, RidgeRange range) {
  if (!ranges.empty() && ranges.back().high == range.low) {
    ranges.back().high = range.high;
  } else {
    ranges.push_back(range);
  }
}

}  // namespace

LatencyCurve latency_curve(std::span<const OpCost> costs, DataType type) {
  struct Break {
    MacsPerByte at;  // from here on the op is bound by memory
    Macs macs;
    Bytes bytes;
  };
  std::vector<Break> list;
  LatencyCurve curve(1);
  for (const OpCost& cost : costs) {
    const Bytes moved = bytes(cost, type);
    if (moved.value == 0) continue;
    list.push_back({cost.macs / moved, cost.macs, moved});
    curve[0].macs += cost.macs;
  }
  std::sort(list.begin(), list.end(), [](const Break& a, const Break& b) { return a.at < b.at; });
  for (const Break& next : list) {
    LatencyPiece piece = curve.back();
    piece.from = next.at;
    piece.macs = piece.macs - next.macs;
    piece.bytes += next.bytes;
    if (curve.back().from == next.at) curve.pop_back();
    curve.push_back(piece);
  }
  return curve;
}

Macs latency_at(const LatencyCurve& curve, MacsPerByte ridge_point) {
  const LatencyPiece& piece = piece_at(curve, ridge_point);
  return piece.macs + ridge_point * piece.bytes;
}

std::vector<Lead> leads(const LatencyCurve& first, const LatencyCurve& second, RidgeRange range) {
  std::vector<Lead> list;
  const auto add = [&](MacsPerByte from, int faster) {
    if (list.empty() || list.back().faster != faster) list.push_back({from, faster});
  };
  const auto sign_at = [&](MacsPerByte point) {
    const Macs time = latency_at(first, point);
    return sign(time - latency_at(second, point), time);
  };
  const std::vector<MacsPerByte> points = breaks(first, second, range);
  int before = sign_at(points[0]);
  for (size_t i = 0; i + 1 < points.size(); ++i) {
    const int after = sign_at(points[i + 1]);
    add(points[i], before != 0 ? before : after);
    if (before * after < 0) {
      const LatencyPiece& a = piece_at(first, points[i]);
      const LatencyPiece& b = piece_at(second, points[i]);
      const MacsPerByte root = (b.macs - a.macs) / (a.bytes - b.bytes);
      add(std::clamp(root, points[i], points[i + 1]), after);
    }
    before = after;
  }
  return list;
}

std::vector<Lead> swaps(const LatencyCurve& first, const LatencyCurve& second, RidgeRange range) {
  std::vector<Lead> list;
  int leader = 0;
  for (const Lead& lead : leads(first, second, range)) {
    if (lead.faster == 0) continue;
    if (leader == -lead.faster) list.push_back(lead);
    leader = lead.faster;
  }
  return list;
}

std::vector<std::vector<RidgeRange>> pareto_front(std::span<const RatedCurve> networks,
                                                  RidgeRange range) {
  std::vector<std::vector<RidgeRange>> fronts;
  for (const RatedCurve& network : networks) {
    // +1 where a stretch that another network dominates begins, -1 where it ends.
    std::vector<std::pair<MacsPerByte, int>> edges{{range.low, 0}, {range.high, 0}};
    for (const RatedCurve& other : networks) {
      if (&other == &network || other.accuracy < network.accuracy) continue;
      const std::vector<Lead> list = leads(network.latency, other.latency, range);
      for (size_t i = 0; i < list.size(); ++i) {
        if (!dominated(network, other, list[i].faster)) continue;
        edges.emplace_back(list[i].from, 1);
        edges.emplace_back(i + 1 < list.size() ? list[i + 1].from : range.high, -1);
      }
    }
    std::sort(edges.begin(), edges.end());
    std::vector<RidgeRange>& front = fronts.emplace_back();
    int dominating = 0;
    for (size_t i = 0; i + 1 < edges.size(); ++i) {
      dominating += edges[i].second;
      const RidgeRange stretch{edges[i].first, edges[i + 1].first};
      if (dominating == 0 && stretch.low < stretch.high) append(front, stretch);
    }
  }
  return fronts;
}

}  // namespace ridgewalk
