// A family of architectures: stages, and the options of every part.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "space/architecture.h"

namespace ridgewalk {

// What a stage consists of: a chain of UIBs; one fused inverted bottleneck; or a k x k and a 1x1
// convolution, each with an activation (the first stages of MNv4-Conv-S).
enum class StageKind { kUib, kFusedIb, kConvPair };
template <>
inline constexpr auto kNames<StageKind> =
    name_table<StageKind>("block of a stage", {{StageKind::kUib, "uib"},
                                               {StageKind::kFusedIb, "fused_ib"},
                                               {StageKind::kConvPair, "conv_pair"}});

// The choices of one UIB. The other kinds of stage use the expansion of the first block.
struct BlockSpace {
  std::vector<double> expansion;  // expanded channels over input channels
  std::vector<int> kernel1;       // 0 for none
  std::vector<int> kernel2;
  std::vector<std::optional<MobileMqa>> attention;  // after the block; nullopt for none
  bool operator==(const BlockSpace&) const = default;
};

struct StageSpace {
  std::vector<StageKind> kind = {StageKind::kUib};
  int stride = 2;                  // of the stage's first block
  std::vector<int> width;          // of all blocks of the stage
  std::vector<int> depth;          // UIBs
  int kernel = 3;                  // of the dense convolution in the other kinds of stage
  std::vector<BlockSpace> blocks;  // as many as the largest depth; with stride 2, kernel2 > 0
  bool operator==(const StageSpace&) const = default;
};

// Which networks share the weights of a UIB in one place.
//   slices: all of them, each taking the first channels of the widest; depthwise kernels have their
//           own (slimmable networks, MobileNetV4).
//   blocks: those whose block there has the same expansion and kernels (single path one-shot, arXiv
//           1904.00420); of several widths each takes the first channels.
enum class WeightSharing { kSlices, kBlocks };
template <>
inline constexpr auto kNames<WeightSharing> = name_table<WeightSharing>(
    "weight sharing", {{WeightSharing::kSlices, "slices"}, {WeightSharing::kBlocks, "blocks"}});

struct SearchSpace {
  std::string name;
  std::vector<int> resolution;
  int channels = 3;
  int classes = 1000;
  std::vector<Activation> activation = {Activation::kRelu};
  std::vector<double> layer_scale = {0};
  int stem_kernel = 3;
  int stem_stride = 2;
  std::vector<int> stem_width;
  std::vector<StageSpace> stages;
  Head head;
  WeightSharing sharing = WeightSharing::kSlices;
  bool operator==(const SearchSpace&) const = default;
};

// Throws Error with the choice that is empty, repeats an option or cannot be built.
void validate(const SearchSpace& space);

std::string to_yaml(const SearchSpace& space);
SearchSpace search_space_from_yaml(const std::string& text, const std::string& file);
// The name of a built-in space (built_in_spaces()) or of a file.
SearchSpace load_search_space(const std::string& name_or_path);
std::vector<std::string> built_in_spaces();

// How the warm-ups of a search treat a choice: all options of an operation may run side by side;
// filters may be set to the widest option; other choices are only ever sampled, as is what decides
// which weights a block has (WeightSharing::kBlocks).
enum class ChoiceKind { kOperation, kFilters, kOther };

// One decision to make. Its name says what it decides: "stages.2.width", "stages.2.1.kernel2".
struct Choice {
  std::string name;
  ChoiceKind kind;
  std::vector<std::string> options;
  int widest = 0;  // index of the largest option of a filter choice
};

// All choices in the order of Decisions.
std::vector<Choice> choices(const SearchSpace& space);

// The index of each choice in the list of choices.
struct BlockChoices {
  int expansion, kernel1, kernel2, attention;
};
struct StageChoices {
  int kind, width, depth;
  std::vector<BlockChoices> blocks;
};
struct ChoiceLayout {
  int resolution = 0, activation = 1, layer_scale = 2, stem_width = 3;
  std::vector<StageChoices> stages;
  int count = 4;
};
ChoiceLayout choice_layout(const SearchSpace& space);

// Number of different architectures. Choices that a shallower stage or another kind of stage has no
// use for do not count.
double size(const SearchSpace& space);

}  // namespace ridgewalk
