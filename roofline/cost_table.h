// Prices an architecture of a search space by table look-ups, without lowering it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "roofline/price.h"
#include "space/decisions.h"

namespace ridgewalk {

// The cost of an architecture is a sum over its parts: stem, each UIB, each attention, head. A part
// depends on few choices (its width, the width before it, its expansion, its kernels), so the cost
// of every part under every combination of its choices is computed once, by lowering; pricing a
// sample adds the entries that its decisions point at. Equal to the full lowering, to the last bit.
class CostTable {
 public:
  // Takes latency by each of `models`. Throws Error when one has laws, but none for an op of the
  // space: its lower bound would draw a search.
  CostTable(const SearchSpace& space, std::vector<LatencyModel> models);

  // prices(lower(decode(space, decisions)), models).
  std::vector<Macs> price(const Decisions& decisions) const;
  // The same into `latency`, without allocating.
  void price(const Decisions& decisions, std::span<Macs> latency) const;
  int64_t parameters(const Decisions& decisions) const;

  struct Range {
    Macs lowest, highest;
    Decisions least = {}, most = {};  // of members that take the lowest and the highest
  };
  // What architectures of the space can reach by each model, exactly: beside the choices that all
  // parts share, widths are the only ones that two parts share, so the extremes follow stage by
  // stage. By laws these are bounds: no architecture need have the fewest or the most weights too,
  // and `least` and `most` are those of the bounds, near the true ones.
  std::vector<Range> reachable() const;

  size_t entries() const { return counts_.size(); }
  const std::vector<LatencyModel>& models() const { return models_; }

 private:
  class Builder;
  // A choice that a part depends on, and how far apart its options' entries lie.
  struct Term {
    int choice = 0;
    int stride = 0;
  };
  // Most parts depend on four choices that have more than one option. Unused terms have stride 0:
  // a loop of fixed length is faster than one that may end early.
  struct Part {
    int first = 0;  // entry of option 0 of every term
    std::array<Term, 4> terms = {};
    bool has_more = false;
    std::array<Term, 4> more = {};
  };
  struct BlockParts {
    Part uib;
    std::optional<Part> attention;
  };
  struct StageParts {
    std::optional<Part> other_kinds;  // blocks in place of UIBs; free where UIBs are chosen
    std::vector<BlockParts> blocks;
  };
  // A stage's parts among parts_: those of the first blocks, as many as its depth.
  struct Run {
    int depth = 0;                 // the choice
    std::vector<int> counts = {};  // of parts, by decision; the first one is that of kInactive
    int parts = 0;                 // of the deepest
  };
  // Where the figures of Load that a model needs are among those of an entry: its time, and with
  // laws the weights and what is waited for of them.
  struct Column {
    size_t at = 0;
    bool has_laws = false;
    bool is_peak = false;  // the largest of the parts counts, not their sum
    double floor = 0;
  };
  struct Count {
    int64_t parameters = 0;    // without layer scales
    int64_t layer_scales = 0;  // where the architecture has them
  };

  void check(const Decisions& decisions) const;
  void for_each_entry(const Decisions& decisions, auto use) const;
  // Sums the figures from `first` on, kFigures of them, of all parts.
  template <size_t kFigures>
  std::array<double, kFigures> sums(const Decisions& decisions, size_t first) const;
  void place_columns();
  void flatten();
  double figure(int entry, const Column& column, size_t which) const;
  Macs peak(const Decisions& decisions, const Column& column) const;

  // Of the sum over parts of value(entry), or of the largest: over all options of the choices that
  // are not decided.
  Range range(const Part& part, const Decisions& decided, const auto& value) const;
  Range stage_range(size_t stage, Decisions& decided, const auto& value) const;
  // Widths after the choices that all parts share are decided; and over all of those.
  Range range_over_widths(Decisions& decided, const auto& value) const;
  Range range_of_space(const auto& value) const;
  Range reachable_by_laws(const Column& column, const LatencyModel& model) const;

  SearchSpace space_;
  ChoiceLayout layout_;
  std::vector<int> options_;  // how many options each choice has
  std::vector<LatencyModel> models_;
  std::vector<Column> columns_;  // one per model, in the order of their figures
  bool prices_as_run_ = false;   // activation and layer scale then count in parts
  // 1, 2 or 4, which keeps the table in a near cache, or a multiple of 8: of a cache line.
  size_t figures_per_entry_ = 0;
  std::vector<double> figures_;
  std::vector<Count> counts_;  // one per entry
  Part stem_, head_;
  std::vector<StageParts> stages_;
  // The same parts in the order of the network, which a price reads through once.
  std::vector<Part> parts_;
  std::vector<Run> runs_;  // one per stage, with all its parts up to the deepest
};

}  // namespace ridgewalk
