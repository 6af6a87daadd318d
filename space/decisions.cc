#include "space/decisions.h"

#include <algorithm>

#include "space/error.h"

namespace ridgewalk {
namespace {

template <class T>
int position(const std::vector<T>& options, const T& value) {
  const auto found = std::find(options.begin(), options.end(), value);
  return found == options.end() ? -1 : static_cast<int>(found - options.begin());
}

// Index of `value`, or an error that names the choice.
template <class T>
int member(const std::vector<T>& options, const T& value, const std::string& what) {
  const int found = position(options, value);
  if (found < 0) throw Error(what + " is not among the space's options");
  return found;
}

int deepest(const StageSpace& stage) {
  return *std::max_element(stage.depth.begin(), stage.depth.end());
}

// Turns decisions into an architecture; refuses what is out of range.
class Decoder {
 public:
  Decoder(const SearchSpace& space, const Decisions& decisions)
      : space_(space), layout_(choice_layout(space)), decisions_(decisions) {
    if (std::ssize(decisions) != layout_.count) {
      throw Error("space '" + space.name + "' has " + std::to_string(layout_.count) +
                  " choices; given " + std::to_string(decisions.size()) + " decisions");
    }
    Decisions expected = decisions;
    deactivate_unused(space, layout_, expected);
    if (expected != decisions) throw Error("a decision is given for a choice that has no use here");
  }

  BlendedArchitecture run() {
    BlendedArchitecture result;
    Architecture& a = result.architecture;
    a.name = space_.name;
    a.channels = space_.channels;
    a.classes = space_.classes;
    a.head = space_.head;
    a.resolution = chosen(space_.resolution, layout_.resolution);
    a.activation = chosen(space_.activation, layout_.activation);
    a.layer_scale = chosen(space_.layer_scale, layout_.layer_scale);
    a.stem = {.kernel = space_.stem_kernel,
              .stride = space_.stem_stride,
              .width = chosen(space_.stem_width, layout_.stem_width),
              .activation = a.activation};
    int width = a.stem.width;
    for (size_t s = 0; s < space_.stages.size(); ++s) {
      a.stages.push_back(stage(s, width, a.activation, result.stages.emplace_back()));
      width = chosen(space_.stages[s].width, layout_.stages[s].width);
    }
    return result;
  }

 private:
  template <class T>
  const T& chosen(const std::vector<T>& options, int choice) const {
    const int decision = decisions_[choice];
    if (decision < 0 || decision >= std::ssize(options)) {
      throw Error("decision " + std::to_string(decision) + " of choice " + std::to_string(choice) +
                  " is not one of " + std::to_string(options.size()) + " options");
    }
    return options[decision];
  }

  bool blended(int choice) const { return decisions_[choice] == kBlend; }

  std::vector<Block> stage(size_t s, int input_width, Activation activation,
                           StageBlend& blend) const {
    const StageSpace& stage = space_.stages[s];
    const StageChoices& at = layout_.stages[s];
    const int width = chosen(stage.width, at.width);
    const StageKind kind = chosen(stage.kind, at.kind);
    if (kind != StageKind::kUib) {
      const double expansion = chosen(stage.blocks[0].expansion, at.blocks[0].expansion);
      const int expanded = make_divisible(input_width * expansion);
      if (kind == StageKind::kFusedIb) {
        return {FusedIb{stage.kernel, stage.stride, expanded, width, activation}};
      }
      return {Conv{stage.kernel, stage.stride, expanded, activation},
              Conv{1, 1, width, activation}};
    }
    if (blended(at.depth)) blend.depths = stage.depth;
    const int depth = blended(at.depth) ? deepest(stage) : chosen(stage.depth, at.depth);
    std::vector<Block> blocks;
    blocks.reserve(2 * size_t(depth));  // with attention
    blend.blocks.reserve(size_t(depth));
    for (int b = 0; b < depth; ++b) {
      const BlockSpace& options = stage.blocks[b];
      const BlockChoices& choice = at.blocks[b];
      const int block_input = b == 0 ? input_width : width;
      Uib uib{.kernel1 = options.kernel1[0],
              .kernel2 = options.kernel2[0],
              .expanded = make_divisible(block_input * chosen(options.expansion, choice.expansion)),
              .width = width,
              .stride = b == 0 ? stage.stride : 1,
              .activation = activation};
      BlockBlend& own = blend.blocks.emplace_back();
      if (blended(choice.kernel1))
        own.kernel1 = options.kernel1;
      else
        uib.kernel1 = chosen(options.kernel1, choice.kernel1);
      if (blended(choice.kernel2))
        own.kernel2 = options.kernel2;
      else
        uib.kernel2 = chosen(options.kernel2, choice.kernel2);
      if (space_.sharing == WeightSharing::kBlocks) {
        own.own_weights = ".e" + number_text(chosen(options.expansion, choice.expansion)) + ".k" +
                          std::to_string(uib.kernel1) + "-" + std::to_string(uib.kernel2);
      }
      blocks.push_back(uib);
      if (blended(choice.attention)) {
        own.attention = options.attention;
      } else if (const auto& mqa = chosen(options.attention, choice.attention)) {
        blocks.push_back(*mqa);
      }
    }
    return blocks;
  }

  const SearchSpace& space_;
  const ChoiceLayout layout_;
  const Decisions& decisions_;
};

// Finds the decisions that decode to an architecture.
class Encoder {
 public:
  Encoder(const SearchSpace& space, const Architecture& architecture)
      : space_(space),
        layout_(choice_layout(space)),
        a_(architecture),
        decisions_(layout_.count, kInactive) {}

  Decisions run() {
    if (a_.channels != space_.channels || a_.classes != space_.classes) {
      throw Error(where() + "its input channels or classes are not the space's");
    }
    if (a_.head != space_.head) throw Error(where() + "its head is not the space's");
    if (a_.stages.size() != space_.stages.size()) {
      throw Error(where() + "it has " + std::to_string(a_.stages.size()) +
                  " stages, the space has " + std::to_string(space_.stages.size()));
    }
    decisions_[layout_.resolution] =
        member(space_.resolution, a_.resolution, where() + "resolution");
    decisions_[layout_.activation] =
        member(space_.activation, a_.activation, where() + "activation");
    decisions_[layout_.layer_scale] =
        member(space_.layer_scale, a_.layer_scale, where() + "layer_scale");
    decisions_[layout_.stem_width] =
        member(space_.stem_width, a_.stem.width, where() + "stem.width");
    int width = a_.stem.width;
    for (size_t s = 0; s < a_.stages.size(); ++s) width = stage(s, width);
    // What may still differ: strides, stem, norm constants, activations of single blocks. The space
    // says nothing about regularisation in training.
    Architecture decoded = decode(space_, decisions_);
    decoded.name = a_.name;
    decoded.regularization = a_.regularization;
    if (decoded != a_) throw Error(where() + "a stride, activation or norm is not the space's");
    return decisions_;
  }

 private:
  std::string where() const {
    return "architecture '" + a_.name + "' is not in space '" + space_.name + "': ";
  }
  std::string where(size_t s, size_t b) const {
    return where() + "stage " + std::to_string(s) + ", block " + std::to_string(b) + ": ";
  }

  int expansion(size_t s, size_t b, int slot, int input_width, int expanded) const {
    const auto& options = space_.stages[s].blocks[slot].expansion;
    for (size_t i = 0; i < options.size(); ++i) {
      if (make_divisible(input_width * options[i]) == expanded) return static_cast<int>(i);
    }
    throw Error(where(s, b) + "no expansion of the space gives " + std::to_string(expanded) +
                " from " + std::to_string(input_width));
  }

  int stage(size_t s, int input_width) {
    const StageSpace& stage = space_.stages[s];
    const StageChoices& at = layout_.stages[s];
    const std::vector<Block>& blocks = a_.stages[s];
    if (blocks.empty()) throw Error(where() + "stage " + std::to_string(s) + " is empty");
    int width = input_width;
    for (const Block& block : blocks) width = output_width(block, width);
    decisions_[at.width] = member(stage.width, width, where(s, 0) + "width");
    StageKind kind = StageKind::kUib;
    if (const auto* fused = std::get_if<FusedIb>(&blocks[0])) {
      kind = StageKind::kFusedIb;
      decisions_[at.blocks[0].expansion] = expansion(s, 0, 0, input_width, fused->expanded);
    } else if (const auto* conv = std::get_if<Conv>(&blocks[0])) {
      kind = StageKind::kConvPair;
      decisions_[at.blocks[0].expansion] = expansion(s, 0, 0, input_width, conv->width);
    } else {
      uibs(s, input_width, width);
    }
    decisions_[at.kind] = member(stage.kind, kind, where(s, 0) + "kind of block");
    return width;
  }

  void uibs(size_t s, int input_width, int width) {
    const StageSpace& stage = space_.stages[s];
    const StageChoices& at = layout_.stages[s];
    int depth = 0;
    for (size_t b = 0; b < a_.stages[s].size(); ++b) {
      const Block& block = a_.stages[s][b];
      if (const auto* uib = std::get_if<Uib>(&block)) {
        if (depth == std::ssize(stage.blocks)) throw Error(where(s, b) + "the stage is too deep");
        const BlockSpace& options = stage.blocks[depth];
        const BlockChoices& choice = at.blocks[depth];
        const int block_input = depth == 0 ? input_width : width;
        if (uib->width != width) throw Error(where(s, b) + "width differs within the stage");
        decisions_[choice.expansion] = expansion(s, b, depth, block_input, uib->expanded);
        decisions_[choice.kernel1] = member(options.kernel1, uib->kernel1, where(s, b) + "kernel1");
        decisions_[choice.kernel2] = member(options.kernel2, uib->kernel2, where(s, b) + "kernel2");
        decisions_[choice.attention] = position(options.attention, std::optional<MobileMqa>{});
        ++depth;
      } else if (const auto* mqa = std::get_if<MobileMqa>(&block)) {
        // Right after the UIB that it is a choice of.
        if (b == 0 || !std::holds_alternative<Uib>(a_.stages[s][b - 1])) {
          throw Error(where(s, b) + "attention must follow a UIB");
        }
        const BlockSpace& options = stage.blocks[depth - 1];
        decisions_[at.blocks[depth - 1].attention] =
            member(options.attention, std::optional(*mqa), where(s, b) + "attention");
      } else {
        throw Error(where(s, b) + "a block among UIBs is not a UIB");
      }
    }
    for (int b = 0; b < depth; ++b) {
      if (decisions_[at.blocks[b].attention] < 0) throw Error(where(s, b) + "lacks its attention");
    }
    decisions_[at.depth] = member(stage.depth, depth, where(s, 0) + "depth");
  }

  const SearchSpace& space_;
  const ChoiceLayout layout_;
  const Architecture& a_;
  Decisions decisions_;
};

}  // namespace

void deactivate_unused(const SearchSpace& space, const ChoiceLayout& layout, Decisions& decisions) {
  for (size_t s = 0; s < space.stages.size(); ++s) {
    const StageSpace& stage = space.stages[s];
    const StageChoices& at = layout.stages[s];
    const int kind = decisions[at.kind];
    const bool uib =
        kind >= 0 && kind < std::ssize(stage.kind) && stage.kind[kind] == StageKind::kUib;
    if (!uib) decisions[at.depth] = kInactive;
    int depth = 0;
    if (decisions[at.depth] == kBlend) {
      depth = deepest(stage);
    } else if (decisions[at.depth] >= 0 && decisions[at.depth] < std::ssize(stage.depth)) {
      depth = stage.depth[decisions[at.depth]];
    }
    for (int b = 0; b < std::ssize(at.blocks); ++b) {
      if (b < depth) continue;
      const BlockChoices& block = at.blocks[b];
      if (b > 0 || uib) decisions[block.expansion] = kInactive;
      decisions[block.kernel1] = kInactive;
      decisions[block.kernel2] = kInactive;
      decisions[block.attention] = kInactive;
    }
  }
}

Decisions sample(const SearchSpace& space, std::mt19937_64& random) {
  Decisions decisions;
  for (const Choice& choice : choices(space)) {
    decisions.push_back(static_cast<int>(random() % choice.options.size()));
  }
  deactivate_unused(space, choice_layout(space), decisions);
  return decisions;
}

Architecture decode(const SearchSpace& space, const Decisions& decisions) {
  if (std::find(decisions.begin(), decisions.end(), kBlend) != decisions.end()) {
    throw Error("a blend of options is not an architecture");
  }
  return Decoder(space, decisions).run().architecture;
}

BlendedArchitecture decode_blended(const SearchSpace& space, const Decisions& decisions) {
  return Decoder(space, decisions).run();
}

Decisions encode(const SearchSpace& space, const Architecture& architecture) {
  return Encoder(space, architecture).run();
}

namespace {

// Of every choice of UIBs with weights of their own the number of one option; where a choice has
// fewer, they are counted over again.
struct BlockOptions {
  size_t expansion = 0, kernel1 = 0, kernel2 = 0, attention = 0;
};

// Such that every block has every combination that gives it weights of its own.
std::vector<BlockOptions> covering_options(const SearchSpace& space) {
  BlockOptions most;
  for (const StageSpace& stage : space.stages) {
    for (const BlockSpace& block : stage.blocks) {
      most.expansion = std::max(most.expansion, block.expansion.size());
      most.kernel1 = std::max(most.kernel1, block.kernel1.size());
      most.kernel2 = std::max(most.kernel2, block.kernel2.size());
      most.attention = std::max(most.attention, block.attention.size());
    }
  }
  std::vector<BlockOptions> options;
  if (space.sharing == WeightSharing::kSlices) {
    const size_t count = std::max({most.kernel1, most.kernel2, most.attention});
    for (size_t i = 0; i < count; ++i) options.push_back({0, i, i, i});
    return options;
  }
  for (size_t expansion = 0; expansion < most.expansion; ++expansion) {
    for (size_t kernel1 = 0; kernel1 < most.kernel1; ++kernel1) {
      for (size_t kernel2 = 0; kernel2 < most.kernel2; ++kernel2) {
        options.push_back({expansion, kernel1, kernel2, 0});
      }
    }
  }
  for (size_t i = 0; i < most.attention; ++i) options.push_back({0, 0, 0, i});
  return options;
}

}  // namespace

std::vector<BlendedArchitecture> covering(const SearchSpace& space) {
  const std::vector<Choice> list = choices(space);
  const ChoiceLayout layout = choice_layout(space);
  const auto option = [&](int choice, size_t number) {
    return static_cast<int>(number % list[choice].options.size());
  };
  size_t most_kinds = 1;
  for (const StageSpace& stage : space.stages) most_kinds = std::max(most_kinds, stage.kind.size());
  std::vector<BlendedArchitecture> cover;
  for (size_t kind = 0; kind < most_kinds; ++kind) {
    for (const BlockOptions& options : covering_options(space)) {
      Decisions decisions(list.size(), 0);
      for (size_t c = 0; c < list.size(); ++c) {
        if (list[c].kind == ChoiceKind::kFilters) decisions[c] = list[c].widest;
      }
      decisions[layout.layer_scale] = list[layout.layer_scale].widest;
      for (size_t s = 0; s < space.stages.size(); ++s) {
        const StageChoices& at = layout.stages[s];
        decisions[at.kind] = option(at.kind, kind);
        decisions[at.depth] = list[at.depth].widest;
        for (const BlockChoices& block : at.blocks) {
          if (space.sharing == WeightSharing::kBlocks) {
            decisions[block.expansion] = option(block.expansion, options.expansion);
          }
          decisions[block.kernel1] = option(block.kernel1, options.kernel1);
          decisions[block.kernel2] = option(block.kernel2, options.kernel2);
          decisions[block.attention] = option(block.attention, options.attention);
        }
      }
      deactivate_unused(space, layout, decisions);
      cover.push_back(decode_blended(space, decisions));
    }
  }
  return cover;
}

}  // namespace ridgewalk
