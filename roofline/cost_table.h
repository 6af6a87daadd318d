// Prices an architecture of a search space by look-ups, without lowering it.
#pragma once

#include <span>
#include <vector>

#include "roofline/latency.h"
#include "space/decisions.h"

namespace ridgewalk {

// The cost of an architecture is a sum over its parts: stem, each UIB, each attention, head. A part
// depends on few choices (its width, the width before it, its expansion, its kernels), so the cost
// of every part under every combination of its choices is computed once, by lowering; pricing a
// sample adds the entries that its decisions point at. Equal to the full lowering, exactly.
class CostTable {
 public:
  // Takes latency at each of `ridge_points`.
  CostTable(const SearchSpace& space, std::vector<MacsPerByte> ridge_points,
            DataType type = DataType::kInt8);

  // latency(lower(decode(space, decisions)), ridge point) for each ridge point.
  std::vector<Macs> price(const Decisions& decisions) const;
  // The same into `latency`, without allocating.
  void price(const Decisions& decisions, std::span<Macs> latency) const;
  int64_t parameters(const Decisions& decisions) const;

  struct Range {
    Macs lowest, highest;
  };
  // What architectures of the space can reach at each ridge point, exactly: widths are the only
  // choices that two parts share, so the extremes follow stage by stage.
  std::vector<Range> reachable() const;

  size_t entries() const;
  const std::vector<MacsPerByte>& ridge_points() const { return ridge_points_; }
};

}  // namespace ridgewalk
