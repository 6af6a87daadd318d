// Prices an architecture of a search space by table look-ups, without lowering it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
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

  size_t entries() const { return counts_.size(); }
  const std::vector<MacsPerByte>& ridge_points() const { return ridge_points_; }

 private:
  class Builder;
  // A choice that a part depends on, and how far apart its options' entries lie.
  struct Term {
    int choice = 0;
    int stride = 0;
  };
  // Unused terms have stride 0: a loop of fixed length is faster than one that may end early.
  struct Part {
    int first = 0;  // entry of option 0 of every term
    std::array<Term, 6> terms = {};
  };
  struct BlockParts {
    Part uib;
    std::optional<Part> attention;
  };
  struct StageParts {
    std::optional<Part> other_kinds;  // blocks in place of UIBs; free where UIBs are chosen
    std::vector<BlockParts> blocks;
  };
  // Latencies at eight ridge points: one cache line.
  struct alignas(64) Row {
    std::array<double, 8> macs = {};
  };
  struct Count {
    int64_t parameters = 0;    // without layer scales
    int64_t layer_scales = 0;  // where the architecture has them
  };

  void check(const Decisions& decisions) const;
  void for_each_entry(const Decisions& decisions, auto use) const;

  // Over all options of the choices that are not decided.
  Range range(const Part& part, const Decisions& decided, size_t ridge_point) const;
  Range stage_range(size_t stage, Decisions& decided, size_t ridge_point) const;
  Range reachable_at(size_t ridge_point) const;

  SearchSpace space_;
  ChoiceLayout layout_;
  std::vector<int> options_;  // how many options each choice has
  std::vector<MacsPerByte> ridge_points_;
  size_t rows_per_entry_;
  std::vector<Row> rows_;
  std::vector<Count> counts_;  // one per entry
  Part stem_, head_;
  std::vector<StageParts> stages_;
};

}  // namespace ridgewalk
