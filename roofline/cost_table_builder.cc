// How a cost table is made: every part of a space is lowered under every combination of its
// choices.
#include <algorithm>
#include <bit>
#include <functional>
#include <set>
#include <string>
#include <utility>

#include "roofline/cost_table.h"
#include "space/error.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

// The ops of a graph that are a part: [begin, end).
struct LoweredPart {
  Graph graph;
  int begin, end;
};

LoweredPart stem_part(Architecture a, Naming naming) {
  a.stages.clear();
  Graph graph = lower(a, naming);
  const int end = graph.part_begins[0];
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
LoweredPart blocks_part(const SearchSpace& space, Architecture a, size_t before,
                        std::vector<Block> blocks, Naming naming) {
  shorten(space, before, a);
  a.stages.resize(before);
  a.stages.push_back(std::move(blocks));
  Graph graph = lower(a, naming);
  const int begin = graph.part_begins[before];
  const int end = graph.part_begins[before + 1];
  return {std::move(graph), begin, end};
}

LoweredPart head_part(const SearchSpace& space, Architecture a, Naming naming) {
  shorten(space, space.stages.size(), a);
  Graph graph = lower(a, naming);
  const int begin = graph.part_begins.back();
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

}  // namespace

class CostTable::Builder {
 public:
  explicit Builder(CostTable& table) : table_(table), space_(table.space_), layout_(table.layout_) {
    for (const LatencyModel& model : table.models_) {
      // A kernel of its own where a runtime does not fold it.
      counts_layer_scales_ |=
          model.resource == Resource::kParameters ||
          (model.resource == Resource::kLatency && prices_as_run(model) && model.laws.empty());
      if (model.convention == ByteConvention::kBlockFused) naming_ = Naming::kTimm;
    }
  }

  void run() {
    decisions_.assign(table_.options_.size(), 0);
    table_.stem_ = tabulate({layout_.stem_width, layout_.activation},
                            [&](const Architecture& a) { return stem_part(a, naming_); });
    for (size_t s = 0; s < space_.stages.size(); ++s) table_.stages_.push_back(stage(s));
    table_.head_ = tabulate({layout_.stages.back().width, layout_.activation},
                            [&](const Architecture& a) { return head_part(space_, a, naming_); });
    if (!without_law_.empty()) refuse_ops_without_law();
  }

 private:
  using Lowered = std::function<LoweredPart(const Architecture&)>;

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
    return tabulate({at.kind, input_width(s), at.width, at.blocks[0].expansion, layout_.activation},
                    [&](const Architecture& a) {
                      const bool uibs = std::holds_alternative<Uib>(a.stages[s][0]);
                      return blocks_part(space_, a, s, uibs ? std::vector<Block>{} : a.stages[s],
                                         naming_);
                    });
  }

  BlockParts block(size_t s, int b, const BlockParts* same) {
    const StageChoices& at = layout_.stages[s];
    const BlockChoices& choice = at.blocks[b];
    const auto lowered = [&](bool attention) -> Lowered {
      return [=, this](const Architecture& a) {
        // Only the first UIB reads the input of the stage; all others read its output width.
        const size_t before = b == 0 && !attention ? s : s + 1;
        return blocks_part(space_, a, before, one_block(a.stages[s], b, attention), naming_);
      };
    };
    std::vector<int> of_uib = {at.width, choice.expansion, choice.kernel1, choice.kernel2,
                               layout_.activation};
    if (b == 0) of_uib.push_back(input_width(s));
    if (counts_layer_scales_) of_uib.push_back(layout_.layer_scale);
    BlockParts parts;
    parts.uib = tabulate(of_uib, lowered(false), same ? &same->uib : nullptr);
    const auto& options = space_.stages[s].blocks[b].attention;
    if (options == std::vector<std::optional<MobileMqa>>{std::nullopt}) return parts;
    // A folded layer scale gives attention's last convolution a bias; UIBs have one from norms.
    parts.attention = tabulate({at.width, choice.attention, layout_.layer_scale}, lowered(true),
                               same ? &*same->attention : nullptr);
    return parts;
  }

  // A part with entries for all options of `choices` and of the resolution, or with those of an
  // identical part that depends on other choices. Activation and layer scale count only as run.
  Part tabulate(const std::vector<int>& choices, const Lowered& lowered,
                const Part* same = nullptr) {
    std::vector<int> depends_on = {layout_.resolution};
    for (int choice : choices) {
      const bool is_of_laws = choice == layout_.activation || choice == layout_.layer_scale;
      if (table_.prices_as_run_ || !is_of_laws) depends_on.push_back(choice);
    }
    // What has one option is decided.
    std::erase_if(depends_on, [&](int choice) { return table_.options_[choice] == 1; });
    Part part{.has_more = depends_on.size() > part.terms.size()};
    int64_t entries = 1;
    for (size_t i = depends_on.size(); i-- > 0;) {
      Term& term = i < part.terms.size() ? part.terms[i] : part.more.at(i - part.terms.size());
      term = {depends_on[i], static_cast<int>(entries)};
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
      std::optional<LoweredPart> as_it_runs;
      if (table_.prices_as_run_) as_it_runs = lowered(architecture);
      architecture.layer_scale = 1;  // to count its parameters
      const LoweredPart part = lowered(architecture);
      append(part, as_it_runs ? *as_it_runs : part);
      return;
    }
    int& decision = decisions_[depends_on[0]];
    const int before = decision;
    for (decision = 0; decision < table_.options_[depends_on[0]]; ++decision) {
      append(depends_on.subspan(1), lowered);
    }
    decision = before;
  }

  // `counted` has layer scales, `run` only where its architecture has them.
  void append(const LoweredPart& counted, const LoweredPart& run) {
    const std::vector<OpCost> costs = op_costs(counted.graph);
    Count& count = table_.counts_.emplace_back();
    for (int i = counted.begin; i < counted.end; ++i) {
      const bool layer_scale = counted.graph.ops[i].kind == OpKind::kLayerScale;
      (layer_scale ? count.layer_scales : count.parameters) += costs[i].parameters;
    }
    const std::vector<OpCost> costs_as_run =
        table_.prices_as_run_ ? op_costs(run.graph) : std::vector<OpCost>();
    const size_t first = table_.figures_.size();
    table_.figures_.resize(first + table_.figures_per_entry_);
    for (size_t m = 0; m < table_.models_.size(); ++m) {
      const Column& column = table_.columns_[m];
      const bool as_run = prices_as_run(table_.models_[m]);
      const LoweredPart& part = as_run ? run : counted;
      const Section section{part.graph, part.begin, part.end};
      const Load load = ridgewalk::load(section, as_run ? costs_as_run : costs, table_.models_[m]);
      double* const sums = &table_.figures_[first + column.at];
      sums[0] = load.time.value;
      if (!column.has_laws) continue;
      sums[1] = load.weights.value, sums[2] = load.waited.value;
      for (const std::string& kind : kinds_without_law(section, table_.models_[m])) {
        without_law_.insert(kind);
      }
    }
  }

  [[noreturn]] void refuse_ops_without_law() const {
    std::string kinds;
    for (const std::string& kind : without_law_) kinds += (kinds.empty() ? "" : ", ") + kind;
    const auto by_laws =
        std::find_if(table_.models_.begin(), table_.models_.end(),
                     [](const LatencyModel& model) { return !model.laws.empty(); });
    throw Error("profile '" + by_laws->profile + "' has no law for " + kinds + " of space '" +
                space_.name + "'; calibrate again, or leave them out of the space");
  }

  CostTable& table_;
  const SearchSpace& space_;
  const ChoiceLayout& layout_;
  bool counts_layer_scales_ = false;  // of UIBs: folded, they cost nothing else
  Naming naming_ = Naming::kNone;     // names tell blocks apart, where a convention asks for them
  Decisions decisions_;
  std::set<std::string> without_law_;  // kinds of op
};

CostTable::CostTable(const SearchSpace& space, std::vector<LatencyModel> models)
    : space_(space), layout_(choice_layout(space)), models_(std::move(models)) {
  validate(space_);
  for (const Choice& choice : choices(space_)) {
    options_.push_back(static_cast<int>(choice.options.size()));
  }
  place_columns();
  Builder(*this).run();
  flatten();
}

void CostTable::flatten() {
  parts_.push_back(stem_);
  for (size_t s = 0; s < stages_.size(); ++s) {
    const size_t first = parts_.size();
    if (stages_[s].other_kinds) parts_.push_back(*stages_[s].other_kinds);
    std::vector<int> up_to = {int(parts_.size() - first)};  // by number of blocks
    for (const BlockParts& block : stages_[s].blocks) {
      parts_.push_back(block.uib);
      if (block.attention) parts_.push_back(*block.attention);
      up_to.push_back(int(parts_.size() - first));
    }
    Run run{.depth = layout_.stages[s].depth, .parts = up_to.back()};
    run.counts.push_back(up_to[0]);
    const bool has_uibs = up_to.size() > 1;
    for (const int depth : space_.stages[s].depth)
      run.counts.push_back(up_to[has_uibs ? depth : 0]);
    runs_.push_back(std::move(run));
  }
  parts_.push_back(head_);
}

// A model's figures never lie in two cache lines, so that each line can be priced by itself.
void CostTable::place_columns() {
  size_t next = 0;
  for (const LatencyModel& model : models_) {
    const bool has_laws = !model.laws.empty();
    const size_t width = has_laws ? 3 : 1;
    if (next % 8 + width > 8) next += 8 - next % 8;
    columns_.push_back({.at = next,
                        .has_laws = has_laws,
                        .is_peak = is_peak(model),
                        .floor = has_laws ? 0 : floor_time(model).value});
    next += width;
    prices_as_run_ |= prices_as_run(model);
  }
  figures_per_entry_ = next <= 4 ? std::bit_ceil(next) : (next + 7) / 8 * 8;
}

}  // namespace ridgewalk
