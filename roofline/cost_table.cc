#include "roofline/cost_table.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

#include "space/error.h"

namespace ridgewalk {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const CostTable::Range kNothing = {{kInfinity}, {-kInfinity}};

void include(CostTable::Range& range, const CostTable::Range& other) {
  if (other.lowest < range.lowest) {
    range.lowest = other.lowest;
    range.least = other.least;
  }
  if (other.highest > range.highest) {
    range.highest = other.highest;
    range.most = other.most;
  }
}

// All that one of them decides; what both decide is the same.
Decisions united(Decisions a, const Decisions& b) {
  a.resize(std::max(a.size(), b.size()), kInactive);
  for (size_t c = 0; c < b.size(); ++c) a[c] = std::max(a[c], b[c]);
  return a;
}

// A figure of entries, and what it is of parts together.
template <class Figure>
struct Value {
  Figure of;
  bool is_peak = false;

  double operator()(int entry) const { return of(entry); }
  CostTable::Range joined(const CostTable::Range& a, const CostTable::Range& b) const {
    const Decisions least = united(a.least, b.least), most = united(a.most, b.most);
    if (!is_peak) return {a.lowest + b.lowest, a.highest + b.highest, least, most};
    return {std::max(a.lowest, b.lowest), std::max(a.highest, b.highest), least, most};
  }
};

}  // namespace

void CostTable::check(const Decisions& decisions) const {
  if (decisions.size() != options_.size()) {
    throw Error("space '" + space_.name + "' has " + std::to_string(options_.size()) +
                " choices; given " + std::to_string(decisions.size()) + " decisions");
  }
  // Without early exit and in blocks of fixed length, which compilers turn into vectors.
  constexpr size_t kBlock = 16;
  const int *given = decisions.data(), *options = options_.data();
  int wrong = 0;
  const auto look = [&](size_t i) {
    wrong |= int(given[i] < kInactive) | int(given[i] >= options[i]);
  };
  size_t i = 0;
  for (; i + kBlock <= decisions.size(); i += kBlock) {
    for (size_t j = i; j < i + kBlock; ++j) look(j);
  }
  for (; i < decisions.size(); ++i) look(i);
  if (wrong != 0) {
    throw Error("a blend or an option that does not exist has no price; decide it first");
  }
}

void CostTable::for_each_entry(const Decisions& decisions, auto use) const {
  const auto add = [&](const Part& part) {
    int entry = part.first;
    const auto move = [&](const std::array<Term, 4>& terms) {
      for (const Term& term : terms) {
        assert(term.stride == 0 || decisions[term.choice] >= 0);
        entry += term.stride * decisions[term.choice];
      }
    };
    move(part.terms);
    if (part.has_more) move(part.more);
    use(entry);
  };
  const Part* part = parts_.data();
  add(*part++);
  for (const Run& run : runs_) {
    const int count = run.counts[decisions[run.depth] + 1];
    for (int i = 0; i < count; ++i) add(part[i]);
    part += run.parts;
  }
  add(*part);
}

std::vector<Macs> CostTable::price(const Decisions& decisions) const {
  std::vector<Macs> latency(models_.size());
  price(decisions, latency);
  return latency;
}

template <size_t kFigures>
std::array<double, kFigures> CostTable::sums(const Decisions& decisions, size_t first) const {
  std::array<double, kFigures> sum = {};
  for_each_entry(decisions, [&](int entry) {
    const double* const figures = &figures_[size_t(entry) * figures_per_entry_ + first];
    for (size_t i = 0; i < kFigures; ++i) sum[i] += figures[i];
  });
  return sum;
}

void CostTable::price(const Decisions& decisions, std::span<Macs> latency) const {
  assert(latency.size() == models_.size());
  check(decisions);
  size_t m = 0;
  const auto price_columns = [&]<size_t kFigures>(const std::array<double, kFigures>& sums,
                                                  size_t first) {
    for (; m < columns_.size() && columns_[m].at < first + kFigures; ++m) {
      const size_t at = columns_[m].at - first;
      latency[m] = Macs{sums[at] + columns_[m].floor};
      if constexpr (kFigures > 2) {
        if (!columns_[m].has_laws) continue;
        latency[m] = ridgewalk::price(Load{{sums[at]}, {sums[at + 1]}, {sums[at + 2]}}, models_[m]);
      }
    }
  };
  switch (figures_per_entry_) {
    case 1:
      price_columns(sums<1>(decisions, 0), 0);
      break;
    case 2:
      price_columns(sums<2>(decisions, 0), 0);
      break;
    case 4:
      price_columns(sums<4>(decisions, 0), 0);
      break;
    default:
      for (size_t first = 0; first < figures_per_entry_; first += 8) {
        price_columns(sums<8>(decisions, first), first);
      }
  }
  for (m = 0; m < columns_.size(); ++m) {
    if (columns_[m].is_peak) latency[m] = peak(decisions, columns_[m]);
  }
}

Macs CostTable::peak(const Decisions& decisions, const Column& column) const {
  double largest = 0;
  for_each_entry(decisions,
                 [&](int entry) { largest = std::max(largest, figure(entry, column, 0)); });
  return {largest};
}

int64_t CostTable::parameters(const Decisions& decisions) const {
  check(decisions);
  Count sum;
  for_each_entry(decisions, [&](int entry) {
    sum.parameters += counts_[entry].parameters;
    sum.layer_scales += counts_[entry].layer_scales;
  });
  const bool has_layer_scale = space_.layer_scale[decisions[layout_.layer_scale]] != 0;
  return sum.parameters + (has_layer_scale ? sum.layer_scales : 0);
}

double CostTable::figure(int entry, const Column& column, size_t which) const {
  return figures_[size_t(entry) * figures_per_entry_ + column.at + which];
}

CostTable::Range CostTable::range(const Part& part, const Decisions& decided,
                                  const auto& value) const {
  std::vector<int> entries = {part.first};
  const auto spread = [&](const Term& term) {
    if (term.stride == 0) return;
    const int decision = decided[term.choice];
    const int from = decision == kInactive ? 0 : decision;
    const int to = decision == kInactive ? options_[term.choice] - 1 : decision;
    std::vector<int> finer;
    for (int entry : entries) {
      for (int option = from; option <= to; ++option) finer.push_back(entry + option * term.stride);
    }
    entries = std::move(finer);
  };
  std::for_each(part.terms.begin(), part.terms.end(), spread);
  std::for_each(part.more.begin(), part.more.end(), spread);
  Range range = kNothing;
  int cheapest = part.first, dearest = part.first;
  for (int entry : entries) {
    const Macs macs{value(entry)};
    if (macs < range.lowest) cheapest = entry;
    if (macs > range.highest) dearest = entry;
    include(range, {macs, macs});
  }
  range.least.assign(options_.size(), kInactive);
  range.most = range.least;
  const auto decide = [&](const Term& term) {
    if (term.stride == 0) return;
    const auto option = [&](int entry) {
      return (entry - part.first) / term.stride % options_[term.choice];
    };
    range.least[term.choice] = option(cheapest);
    range.most[term.choice] = option(dearest);
  };
  std::for_each(part.terms.begin(), part.terms.end(), decide);
  std::for_each(part.more.begin(), part.more.end(), decide);
  return range;
}

// With input width and width decided.
CostTable::Range CostTable::stage_range(size_t s, Decisions& decided, const auto& value) const {
  const StageSpace& stage = space_.stages[s];
  const StageChoices& choice = layout_.stages[s];
  Range reachable = kNothing;
  for (size_t kind = 0; kind < stage.kind.size(); ++kind) {
    if (stage.kind[kind] == StageKind::kUib) continue;
    int& decision = decided[choice.kind];
    decision = static_cast<int>(kind);
    include(reachable, range(*stages_[s].other_kinds, decided, value));
    decision = kInactive;
  }
  Range sum;
  for (size_t b = 0; b < stages_[s].blocks.size(); ++b) {
    const BlockParts& block = stages_[s].blocks[b];
    sum = value.joined(sum, range(block.uib, decided, value));
    if (block.attention) sum = value.joined(sum, range(*block.attention, decided, value));
    const auto depth = std::find(stage.depth.begin(), stage.depth.end(), int(b) + 1);
    if (depth == stage.depth.end()) continue;
    const auto uib = std::find(stage.kind.begin(), stage.kind.end(), StageKind::kUib);
    for (Decisions* extreme : {&sum.least, &sum.most}) {
      (*extreme)[choice.kind] = int(uib - stage.kind.begin());
      (*extreme)[choice.depth] = int(depth - stage.depth.begin());
    }
    include(reachable, sum);
    sum.least[choice.depth] = sum.most[choice.depth] = kInactive;
  }
  return reachable;
}

CostTable::Range CostTable::range_over_widths(Decisions& decided, const auto& value) const {
  int before = layout_.stem_width;  // the choice of the width so far, and what each option costs
  std::vector<Range> so_far;
  for (int w = 0; w < options_[before]; ++w) {
    decided[before] = w;
    so_far.push_back(range(stem_, decided, value));
  }
  for (size_t s = 0; s < stages_.size(); ++s) {
    const int width = layout_.stages[s].width;
    std::vector<Range> with_stage(options_[width], kNothing);
    for (int w = 0; w < options_[width]; ++w) {
      for (int v = 0; v < options_[before]; ++v) {
        decided[before] = v;
        decided[width] = w;
        include(with_stage[w], value.joined(so_far[v], stage_range(s, decided, value)));
      }
    }
    before = width;
    so_far = std::move(with_stage);
  }
  Range reachable = kNothing;
  for (int w = 0; w < options_[before]; ++w) {
    decided[before] = w;
    include(reachable, value.joined(so_far[w], range(head_, decided, value)));
  }
  return reachable;
}

CostTable::Range CostTable::range_of_space(const auto& value) const {
  const int activations = prices_as_run_ ? options_[layout_.activation] : 1;
  const int layer_scales = prices_as_run_ ? options_[layout_.layer_scale] : 1;
  Range reachable = kNothing;
  Decisions decided(options_.size(), kInactive);
  for (int r = 0; r < options_[layout_.resolution]; ++r) {
    for (int a = 0; a < activations; ++a) {
      for (int l = 0; l < layer_scales; ++l) {
        decided[layout_.resolution] = r;
        decided[layout_.activation] = a;
        decided[layout_.layer_scale] = l;
        include(reachable, range_over_widths(decided, value));
      }
    }
  }
  // What no cost depends on: a single option, or one as good as the others.
  for (Decisions* extreme : {&reachable.least, &reachable.most}) {
    std::replace(extreme->begin(), extreme->end(), kInactive, 0);
    deactivate_unused(space_, layout_, *extreme);
  }
  return reachable;
}

// A latency is time + waited bytes * time per byte, which depends on all weights alone: with the
// least and the most of it, the rest is a sum over parts.
CostTable::Range CostTable::reachable_by_laws(const Column& column,
                                              const LatencyModel& model) const {
  const Range weights = range_of_space(Value{[&](int entry) { return figure(entry, column, 1); }});
  const auto [least, most] =
      wait_per_byte({weights.lowest.value}, {weights.highest.value}, model.bandwidths);
  const auto range_with = [&](Seconds wait) {
    return range_of_space(Value{[&](int entry) {
      return figure(entry, column, 0) + figure(entry, column, 2) * wait.value * model.peak.value;
    }});
  };
  constexpr Macs kRounding = {1};
  const Range of_least = range_with(least), of_most = range_with(most);
  return {of_least.lowest - kRounding, of_most.highest + kRounding, of_least.least, of_most.most};
}

std::vector<CostTable::Range> CostTable::reachable() const {
  std::vector<Range> ranges;
  for (size_t m = 0; m < models_.size(); ++m) {
    const Column& column = columns_[m];
    if (column.has_laws) {
      ranges.push_back(reachable_by_laws(column, models_[m]));
      continue;
    }
    const Macs floor{column.floor};
    const Range range =
        range_of_space(Value{[&](int entry) { return figure(entry, column, 0); }, column.is_peak});
    ranges.push_back({range.lowest + floor, range.highest + floor, range.least, range.most});
  }
  return ranges;
}

}  // namespace ridgewalk
