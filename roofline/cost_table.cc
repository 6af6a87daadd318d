#include "roofline/cost_table.h"

#include <algorithm>
#include <cassert>
#include <functional>
#include <limits>
#include <utility>

#include "space/error.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

// Some of the ops of a graph: [begin, end).
struct Section {
  Graph graph;
  int begin, end;
};

// Index of the first op of a stage; the number of stages stands for the head.
int start_of(const Graph& graph, size_t stage) {
  const std::string prefix = "blocks." + std::to_string(stage) + ".";
  const auto found = std::find_if(graph.ops.begin(), graph.ops.end(),
                                  [&](const Op& op) { return op.name.starts_with(prefix); });
  return static_cast<int>(found - graph.ops.begin());
}

Section stem_section(Architecture a) {
  a.stages.clear();
  Graph graph = lower(a);
  const int end = start_of(graph, 0);
  return {std::move(graph), 0, end};
}

// Replaces the first `count` stages by the least that gives the next one its input.
void shorten(const SearchSpace& space, size_t count, Architecture& a) {
  int width = a.stem.width;
  for (size_t s = 0; s < count; ++s) {
    for (const Block& block : a.stages[s]) width = output_width(block, width);
    a.stages[s] = {Conv{.kernel = 1, .stride = space.stages[s].stride, .width = width}};
  }
}

// Only `blocks`, after the first `before` stages.
Section blocks_section(const SearchSpace& space, Architecture a, size_t before,
                       std::vector<Block> blocks) {
  shorten(space, before, a);
  a.stages.resize(before);
  a.stages.push_back(std::move(blocks));
  Graph graph = lower(a);
  const int begin = start_of(graph, before);
  const int end = start_of(graph, before + 1);
  return {std::move(graph), begin, end};
}

Section head_section(const SearchSpace& space, Architecture a) {
  shorten(space, space.stages.size(), a);
  Graph graph = lower(a);
  const int begin = start_of(graph, space.stages.size());
  const int end = static_cast<int>(graph.ops.size());
  return {std::move(graph), begin, end};
}

// UIB number `uib` of the stage or the attention after it; empty when there is none.
std::vector<Block> one_block(const std::vector<Block>& stage, int uib, bool attention) {
  int uibs = 0;
  for (const Block& block : stage) {
    const bool is_uib = std::holds_alternative<Uib>(block);
    uibs += is_uib;
    if (uibs == uib + 1 && is_uib != attention) return {block};
  }
  return {};
}

// -1 when the stage has no UIBs.
int uib_option(const StageSpace& stage) {
  const auto found = std::find(stage.kind.begin(), stage.kind.end(), StageKind::kUib);
  return found == stage.kind.end() ? -1 : static_cast<int>(found - stage.kind.begin());
}

constexpr int64_t kMostEntries = 1000000;  // of one part; beyond it the table takes minutes
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr CostTable::Range kNothing = {{kInfinity}, {-kInfinity}};

void include(CostTable::Range& range, const CostTable::Range& other) {
  range.lowest = std::min(range.lowest, other.lowest);
  range.highest = std::max(range.highest, other.highest);
}

CostTable::Range operator+(const CostTable::Range& a, const CostTable::Range& b) {
  return {a.lowest + b.lowest, a.highest + b.highest};
}

}  // namespace

class CostTable::Builder {
 public:
  Builder(CostTable& table, DataType type)
      : table_(table), space_(table.space_), layout_(table.layout_), type_(type) {}

  void run() {
    decisions_.assign(table_.options_.size(), 0);
    table_.stem_ = tabulate({layout_.resolution, layout_.stem_width}, stem_section);
    for (size_t s = 0; s < space_.stages.size(); ++s) table_.stages_.push_back(stage(s));
    table_.head_ = tabulate({layout_.resolution, layout_.stages.back().width},
                            [&](const Architecture& a) { return head_section(space_, a); });
  }

 private:
  using Lowered = std::function<Section(const Architecture&)>;

  int input_width(size_t s) const {
    return s == 0 ? layout_.stem_width : layout_.stages[s - 1].width;
  }

  StageParts stage(size_t s) {
    const StageSpace& stage = space_.stages[s];
    StageParts parts;
    const bool has_uib = uib_option(stage) >= 0;
    if (!has_uib || stage.kind.size() > 1) parts.other_kinds = other_kinds(s);
    if (!has_uib) return parts;
    const StageChoices& at = layout_.stages[s];
    const auto deepest = std::max_element(stage.depth.begin(), stage.depth.end());
    decisions_[at.kind] = uib_option(stage);
    decisions_[at.depth] = static_cast<int>(deepest - stage.depth.begin());
    for (int b = 0; b < std::ssize(stage.blocks); ++b) {
      // From the second block on, the inputs are the same, and mostly the options too.
      const bool repeated = b > 1 && stage.blocks[b] == stage.blocks[b - 1];
      parts.blocks.push_back(block(s, b, repeated ? &parts.blocks.back() : nullptr));
    }
    decisions_[at.kind] = decisions_[at.depth] = 0;
    return parts;
  }

  Part other_kinds(size_t s) {
    const StageChoices& at = layout_.stages[s];
    return tabulate({at.kind, layout_.resolution, input_width(s), at.width, at.blocks[0].expansion},
                    [&](const Architecture& a) {
                      const bool uibs = std::holds_alternative<Uib>(a.stages[s][0]);
                      return blocks_section(space_, a, s,
                                            uibs ? std::vector<Block>{} : a.stages[s]);
                    });
  }

  BlockParts block(size_t s, int b, const BlockParts* same) {
    const StageChoices& at = layout_.stages[s];
    const BlockChoices& choice = at.blocks[b];
    const auto lowered = [&](bool attention) -> Lowered {
      return [=, this](const Architecture& a) {
        // Only the first UIB reads the input of the stage; all others read its output width.
        const size_t before = b == 0 && !attention ? s : s + 1;
        return blocks_section(space_, a, before, one_block(a.stages[s], b, attention));
      };
    };
    std::vector<int> of_uib = {layout_.resolution, at.width, choice.expansion, choice.kernel1,
                               choice.kernel2};
    if (b == 0) of_uib.push_back(input_width(s));
    BlockParts parts;
    parts.uib = tabulate(of_uib, lowered(false), same ? &same->uib : nullptr);
    const auto& options = space_.stages[s].blocks[b].attention;
    if (options == std::vector<std::optional<MobileMqa>>{std::nullopt}) return parts;
    parts.attention = tabulate({layout_.resolution, at.width, choice.attention}, lowered(true),
                               same ? &*same->attention : nullptr);
    return parts;
  }

  // A part with entries for all options of `depends_on`, or with those of an identical part that
  // depends on other choices.
  Part tabulate(const std::vector<int>& depends_on, const Lowered& lowered,
                const Part* same = nullptr) {
    Part part;
    int64_t entries = 1;
    for (size_t i = depends_on.size(); i-- > 0;) {
      part.terms[i] = {depends_on[i], static_cast<int>(entries)};
      entries *= table_.options_[depends_on[i]];
      if (entries > kMostEntries) {
        throw Error("space '" + space_.name + "': a block has more than " +
                    std::to_string(kMostEntries) + " variants to be priced; offer fewer options");
      }
    }
    part.first = same ? same->first : static_cast<int>(table_.counts_.size());
    if (!same) append(depends_on, lowered);
    return part;
  }

  void append(std::span<const int> depends_on, const Lowered& lowered) {
    if (depends_on.empty()) {
      Decisions decisions = decisions_;
      deactivate_unused(space_, layout_, decisions);
      Architecture architecture = decode(space_, decisions);
      architecture.layer_scale = 1;
      append(lowered(architecture));
      return;
    }
    int& decision = decisions_[depends_on[0]];
    const int before = decision;
    for (decision = 0; decision < table_.options_[depends_on[0]]; ++decision) {
      append(depends_on.subspan(1), lowered);
    }
    decision = before;
  }

  void append(const Section& section) {
    const std::vector<OpCost> costs = op_costs(section.graph);
    const size_t row = table_.rows_.size();
    table_.rows_.resize(row + table_.rows_per_entry_);
    Count& count = table_.counts_.emplace_back();
    for (int i = section.begin; i < section.end; ++i) {
      const bool layer_scale = section.graph.ops[i].kind == OpKind::kLayerScale;
      (layer_scale ? count.layer_scales : count.parameters) += costs[i].parameters;
      if (costs[i].macs.value == 0) continue;
      for (size_t r = 0; r < table_.ridge_points_.size(); ++r) {
        table_.rows_[row + r / 8].macs[r % 8] +=
            op_time(costs[i], table_.ridge_points_[r], type_).value;
      }
    }
  }

  CostTable& table_;
  const SearchSpace& space_;
  const ChoiceLayout& layout_;
  const DataType type_;
  Decisions decisions_;
};

CostTable::CostTable(const SearchSpace& space, std::vector<MacsPerByte> ridge_points, DataType type)
    : space_(space),
      layout_(choice_layout(space)),
      ridge_points_(std::move(ridge_points)),
      rows_per_entry_((ridge_points_.size() + 7) / 8) {
  validate(space_);
  for (const Choice& choice : choices(space_)) {
    options_.push_back(static_cast<int>(choice.options.size()));
  }
  Builder(*this, type).run();
}

void CostTable::check(const Decisions& decisions) const {
  if (decisions.size() != options_.size()) {
    throw Error("space '" + space_.name + "' has " + std::to_string(options_.size()) +
                " choices; given " + std::to_string(decisions.size()) + " decisions");
  }
  bool wrong = false;  // no early exit, so that the loop is vectorised
  for (size_t i = 0; i < decisions.size(); ++i) {
    wrong |= decisions[i] < kInactive || decisions[i] >= options_[i];
  }
  if (wrong) throw Error("a blend or an option that does not exist has no price; decide it first");
}

void CostTable::for_each_entry(const Decisions& decisions, auto use) const {
  const auto add = [&](const Part& part) {
    int entry = part.first;
    for (const Term& term : part.terms) {
      assert(term.stride == 0 || decisions[term.choice] >= 0);
      entry += term.stride * decisions[term.choice];
    }
    use(entry);
  };
  add(stem_);
  for (size_t s = 0; s < stages_.size(); ++s) {
    if (stages_[s].other_kinds) add(*stages_[s].other_kinds);
    for (size_t b = 0; b < stages_[s].blocks.size(); ++b) {
      if (decisions[layout_.stages[s].blocks[b].kernel1] == kInactive) break;
      const BlockParts& block = stages_[s].blocks[b];
      add(block.uib);
      if (block.attention) add(*block.attention);
    }
  }
  add(head_);
}

std::vector<Macs> CostTable::price(const Decisions& decisions) const {
  std::vector<Macs> latency(ridge_points_.size());
  price(decisions, latency);
  return latency;
}

void CostTable::price(const Decisions& decisions, std::span<Macs> latency) const {
  assert(latency.size() == ridge_points_.size());
  check(decisions);
  for (size_t r = 0; r < rows_per_entry_; ++r) {
    Row sum;
    for_each_entry(decisions, [&](int entry) {
      const Row& row = rows_[entry * rows_per_entry_ + r];
      for (size_t i = 0; i < row.macs.size(); ++i) sum.macs[i] += row.macs[i];
    });
    for (size_t i = 0; i < sum.macs.size() && 8 * r + i < latency.size(); ++i) {
      latency[8 * r + i].value = sum.macs[i];
    }
  }
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

CostTable::Range CostTable::range(const Part& part, const Decisions& decided,
                                  size_t ridge_point) const {
  std::vector<int> entries = {part.first};
  for (const Term& term : part.terms) {
    const int decision = decided[term.choice];
    const int from = decision == kInactive ? 0 : decision;
    const int to = decision == kInactive ? options_[term.choice] - 1 : decision;
    std::vector<int> finer;
    for (int entry : entries) {
      for (int option = from; option <= to; ++option) finer.push_back(entry + option * term.stride);
    }
    entries = std::move(finer);
  }
  Range range = kNothing;
  for (int entry : entries) {
    const Row& row = rows_[entry * rows_per_entry_ + ridge_point / 8];
    const Macs macs{row.macs[ridge_point % 8]};
    include(range, {macs, macs});
  }
  return range;
}

// With resolution, input width and width decided.
CostTable::Range CostTable::stage_range(size_t s, Decisions& decided, size_t ridge_point) const {
  const StageSpace& stage = space_.stages[s];
  Range reachable = kNothing;
  for (size_t kind = 0; kind < stage.kind.size(); ++kind) {
    if (stage.kind[kind] == StageKind::kUib) continue;
    int& decision = decided[layout_.stages[s].kind];
    decision = static_cast<int>(kind);
    include(reachable, range(*stages_[s].other_kinds, decided, ridge_point));
    decision = kInactive;
  }
  Range sum;
  for (size_t b = 0; b < stages_[s].blocks.size(); ++b) {
    const BlockParts& block = stages_[s].blocks[b];
    sum = sum + range(block.uib, decided, ridge_point);
    if (block.attention) sum = sum + range(*block.attention, decided, ridge_point);
    const bool may_end = std::count(stage.depth.begin(), stage.depth.end(), int(b) + 1) > 0;
    if (may_end) include(reachable, sum);
  }
  return reachable;
}

CostTable::Range CostTable::reachable_at(size_t ridge_point) const {
  Range reachable = kNothing;
  Decisions decided(options_.size(), kInactive);
  for (int resolution = 0; resolution < options_[layout_.resolution]; ++resolution) {
    decided[layout_.resolution] = resolution;
    int before = layout_.stem_width;  // the choice of the width so far, and what each option costs
    std::vector<Range> so_far;
    for (int w = 0; w < options_[before]; ++w) {
      decided[before] = w;
      so_far.push_back(range(stem_, decided, ridge_point));
    }
    for (size_t s = 0; s < stages_.size(); ++s) {
      const int width = layout_.stages[s].width;
      std::vector<Range> with_stage(options_[width], kNothing);
      for (int w = 0; w < options_[width]; ++w) {
        for (int v = 0; v < options_[before]; ++v) {
          decided[before] = v;
          decided[width] = w;
          include(with_stage[w], so_far[v] + stage_range(s, decided, ridge_point));
        }
      }
      before = width;
      so_far = std::move(with_stage);
    }
    for (int w = 0; w < options_[before]; ++w) {
      decided[before] = w;
      include(reachable, so_far[w] + range(head_, decided, ridge_point));
    }
  }
  return reachable;
}

std::vector<CostTable::Range> CostTable::reachable() const {
  std::vector<Range> ranges;
  for (size_t r = 0; r < ridge_points_.size(); ++r) ranges.push_back(reachable_at(r));
  return ranges;
}

}  // namespace ridgewalk
