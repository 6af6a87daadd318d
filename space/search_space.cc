#include "space/search_space.h"

#include <algorithm>
#include <cmath>

#include "space/block_yaml.h"
#include "space/embedded.h"

namespace ridgewalk {
namespace {

constexpr int kDeepestStage = 256;
constexpr int kLargestWidth = 65536;

std::string text_of(int value) { return std::to_string(value); }
std::string text_of(double value) { return number_text(value); }
std::string text_of(Activation value) { return std::string(to_string(value)); }
std::string text_of(StageKind value) { return std::string(to_string(value)); }
std::string text_of(const std::optional<MobileMqa>& mqa) {
  if (!mqa) return "none";
  return "mqa " + text_of(mqa->heads) + "x" + text_of(mqa->key_dim) + "x" +
         text_of(mqa->value_dim) + "/" + text_of(mqa->kv_stride) +
         (mqa->kv_heads == 1 ? "" : " kv_heads " + text_of(mqa->kv_heads));
}

template <class T>
std::vector<std::string> texts_of(const std::vector<T>& options) {
  std::vector<std::string> texts;
  for (const T& option : options) texts.push_back(text_of(option));
  return texts;
}

template <class T>
int largest(const std::vector<T>& options) {
  return static_cast<int>(std::max_element(options.begin(), options.end()) - options.begin());
}

template <class T>
void check_options(const std::string& name, const std::vector<T>& options, auto valid) {
  if (options.empty()) throw Error(name + " is empty; list at least one option");
  for (size_t i = 0; i < options.size(); ++i) {
    if (!valid(options[i])) throw Error(name + " cannot be " + text_of(options[i]));
    if (std::find(options.begin(), options.begin() + i, options[i]) != options.begin() + i) {
      throw Error(name + " lists " + text_of(options[i]) + " twice");
    }
  }
}

void check_stage(const std::string& name, const StageSpace& stage) {
  const auto is_width = [](int width) { return width >= 1 && width <= kLargestWidth; };
  const auto is_kernel = [](int kernel) { return kernel % 2 == 1 && kernel > 0 && kernel <= 31; };
  check_options(name + ".block", stage.kind, [](StageKind) { return true; });
  if (stage.stride != 1 && stage.stride != 2) throw Error(name + ".stride must be 1 or 2");
  if (!is_kernel(stage.kernel)) throw Error(name + ".kernel must be odd, at most 31");
  check_options(name + ".width", stage.width, is_width);
  check_options(name + ".depth", stage.depth,
                [](int depth) { return depth >= 1 && depth <= kDeepestStage; });
  const int deepest = *std::max_element(stage.depth.begin(), stage.depth.end());
  if (std::ssize(stage.blocks) != deepest) {
    throw Error(name + " describes " + text_of(int(stage.blocks.size())) +
                " blocks; its largest depth is " + text_of(deepest));
  }
  for (int b = 0; b < deepest; ++b) {
    const BlockSpace& block = stage.blocks[b];
    const std::string prefix = name + "." + text_of(b);
    const bool strided = b == 0 && stage.stride == 2;
    check_options(prefix + ".expansion", block.expansion,
                  [](double e) { return e > 0 && e <= 64; });
    check_options(prefix + ".kernel1", block.kernel1,
                  [&](int k) { return k == 0 || is_kernel(k); });
    check_options(prefix + ".kernel2", block.kernel2,
                  [&](int k) { return (k == 0 && !strided) || is_kernel(k); });
    check_options(prefix + ".attention", block.attention,
                  [](const auto& mqa) { return !mqa || violation(*mqa).empty(); });
  }
}

// If two expansions rounded to the same channels, different decisions would give one architecture.
void check_expansions(const std::string& name, const std::vector<double>& expansions,
                      const std::vector<int>& input_widths) {
  for (int width : input_widths) {
    for (size_t i = 0; i < expansions.size(); ++i) {
      if (make_divisible(width * expansions[i]) > kLargestWidth) {
        throw Error(name + ".expansion: " + text_of(expansions[i]) + " of " + text_of(width) +
                    " channels is above " + text_of(kLargestWidth) + "; choose a smaller one");
      }
      for (size_t j = 0; j < i; ++j) {
        if (make_divisible(width * expansions[i]) == make_divisible(width * expansions[j])) {
          throw Error(name + ".expansion: " + text_of(expansions[i]) + " and " +
                      text_of(expansions[j]) + " round to the same channels from " +
                      text_of(width) + "; leave one out");
        }
      }
    }
  }
}

// After each UIB: "none" or an attention block.
using Attention = std::vector<std::optional<MobileMqa>>;

void attention_options(FieldReader& reader, const char* name, Attention& options) {
  if (!reader.has(name)) return;
  const YamlSource source = reader.child(name);
  const auto read_one = [&](const YAML::Node& node) -> std::optional<MobileMqa> {
    const YamlSource option{node, source.file};
    if (node.IsScalar()) {
      if (node.Scalar() != "none") option.fail("attention must be 'none' or {heads: ...}");
      return std::nullopt;
    }
    FieldReader attention(option);
    MobileMqa mqa;
    fields(attention, mqa);
    attention.finish();
    return mqa;
  };
  options.clear();
  if (!source.node.IsSequence()) {
    options.push_back(read_one(source.node));
    return;
  }
  if (source.node.size() == 0) source.fail("'attention' is empty; list at least one option");
  for (const YAML::Node& node : source.node) options.push_back(read_one(node));
}

void attention_options(FieldWriter& writer, const char* name, const Attention& options) {
  YAML::Emitter& out = writer.out();
  out << YAML::Key << name << YAML::Value << YAML::Flow << YAML::BeginSeq;
  for (const auto& mqa : options) {
    if (!mqa) {
      out << "none";
      continue;
    }
    out << YAML::Flow << YAML::BeginMap;
    fields(writer, *mqa);
    out << YAML::EndMap;
  }
  out << YAML::EndSeq;
}

}  // namespace

void fields(auto& v, Of<BlockSpace> auto& block) {
  v.optional("expansion", block.expansion);
  v.optional("kernel1", block.kernel1);
  v.optional("kernel2", block.kernel2);
  attention_options(v, "attention", block.attention);
}

namespace {

// The blocks of a stage with one description for all. The first block of a strided stage loses the
// option of having no second depthwise convolution, which is the one that takes the stride.
std::vector<BlockSpace> repeated(const BlockSpace& block, int count, int stride) {
  std::vector<BlockSpace> blocks(count, block);
  if (stride == 2 && block.kernel2.size() > 1) std::erase(blocks[0].kernel2, 0);
  return blocks;
}

// The blocks of a stage: one description for all, then a list of what is different in each.
void stage_blocks(FieldReader& reader, const char* name, StageSpace& stage) {
  const int deepest = *std::max_element(stage.depth.begin(), stage.depth.end());
  if (deepest < 1 || deepest > kDeepestStage) {
    reader.source().fail("'depth' must be from 1 to " + text_of(kDeepestStage));
  }
  BlockSpace block{.expansion = {4}, .kernel1 = {0}, .kernel2 = {3}, .attention = {std::nullopt}};
  fields(reader, block);
  stage.blocks = repeated(block, deepest, stage.stride);
  if (!reader.has(name)) return;
  const YamlSource list = reader.child(name);
  if (!list.node.IsSequence() || std::ssize(stage.blocks) != std::ssize(list.node)) {
    list.fail("'blocks' must list as many blocks as the largest depth");
  }
  for (int b = 0; b < deepest; ++b) {
    FieldReader own({list.node[b], list.file});
    fields(own, stage.blocks[b]);
    own.finish();
  }
}

void stage_blocks(FieldWriter& writer, const char* name, const StageSpace& stage) {
  if (stage.blocks == repeated(stage.blocks.back(), int(stage.blocks.size()), stage.stride)) {
    fields(writer, stage.blocks.back());
    return;
  }
  YAML::Emitter& out = writer.out();
  out << YAML::Key << name << YAML::Value << YAML::BeginSeq;
  for (const BlockSpace& block : stage.blocks) {
    out << YAML::BeginMap;
    fields(writer, block);
    out << YAML::EndMap;
  }
  out << YAML::EndSeq;
}

}  // namespace

void fields(auto& v, Of<StageSpace> auto& stage) {
  v.optional("block", stage.kind);
  v.optional("stride", stage.stride);
  v.optional("kernel", stage.kernel);
  v.required("width", stage.width);
  v.optional("depth", stage.depth);
  stage_blocks(v, "blocks", stage);
}

namespace {

void stages(FieldReader& reader, const char* name, std::vector<StageSpace>& stages) {
  const YamlSource list = reader.child(name);
  if (!list.node.IsSequence()) list.fail("'stages' must be a list");
  for (const YAML::Node& node : list.node) {
    const YamlSource source{node, list.file};
    FieldReader fields_of_stage(source);
    StageSpace stage{.width = {}, .depth = {1}, .blocks = {}};
    fields(fields_of_stage, stage);
    fields_of_stage.finish();
    at_line(source, [&] { check_stage("stages." + std::to_string(stages.size()), stage); });
    stages.push_back(std::move(stage));
  }
}

void stages(FieldWriter& writer, const char* name, const std::vector<StageSpace>& stages) {
  YAML::Emitter& out = writer.out();
  out << YAML::Key << name << YAML::Value << YAML::BeginSeq;
  for (const StageSpace& stage : stages) {
    out << YAML::BeginMap;
    fields(writer, stage);
    out << YAML::EndMap;
  }
  out << YAML::EndSeq;
}

}  // namespace

void fields(auto& v, Of<SearchSpace> auto& space) {
  v.required("name", space.name);
  v.required("resolution", space.resolution);
  v.optional("channels", space.channels);
  v.optional("classes", space.classes);
  v.optional("activation", space.activation);
  v.optional("layer_scale", space.layer_scale);
  v.one_line_part("stem", [&](auto& stem) {
    stem.optional("kernel", space.stem_kernel);
    stem.optional("stride", space.stem_stride);
    stem.required("width", space.stem_width);
  });
  stages(v, "stages", space.stages);
  v.one_line_part("head", [&](auto& head) {
    head.optional("width", space.head.width);
    head.optional("features", space.head.features);
  });
  v.optional("sharing", space.sharing);
}

void validate(const SearchSpace& space) {
  const std::string name = "search space '" + space.name + "': ";
  check_options(name + "resolution", space.resolution, [](int r) { return r >= 1 && r <= 8192; });
  check_options(name + "activation", space.activation, [](Activation) { return true; });
  check_options(name + "layer_scale", space.layer_scale, [](double v) { return v >= 0 && v <= 1; });
  check_options(name + "stem.width", space.stem_width,
                [](int w) { return w >= 1 && w <= kLargestWidth; });
  // What is not a choice.
  validate(Architecture{.name = space.name,
                        .resolution = space.resolution[0],
                        .channels = space.channels,
                        .classes = space.classes,
                        .stem = {.kernel = space.stem_kernel,
                                 .stride = space.stem_stride,
                                 .width = space.stem_width[0]},
                        .head = space.head});
  if (space.stages.empty()) throw Error(name + "stages is empty; list at least one");
  std::vector<int> input_widths = space.stem_width;
  for (size_t s = 0; s < space.stages.size(); ++s) {
    const StageSpace& stage = space.stages[s];
    const std::string stage_name = name + "stages." + std::to_string(s);
    check_stage(stage_name, stage);
    check_expansions(stage_name, stage.blocks[0].expansion, input_widths);
    for (const BlockSpace& block : stage.blocks) {
      check_expansions(stage_name, block.expansion, stage.width);
    }
    input_widths = stage.width;
  }
}

std::string to_yaml(const SearchSpace& space) { return yaml_document(space); }

SearchSpace search_space_from_yaml(const std::string& text, const std::string& file) {
  FieldReader reader(parse_yaml(text, file));
  SearchSpace space;
  fields(reader, space);
  reader.finish();
  at_line(reader.source(), [&] { validate(space); });
  return space;
}

std::vector<std::string> built_in_spaces() { return names(embedded_search_spaces()); }

SearchSpace load_search_space(const std::string& name_or_path) {
  if (const auto text = find(embedded_search_spaces(), name_or_path)) {
    return search_space_from_yaml(std::string(*text), name_or_path);
  }
  if (!path_exists(name_or_path)) {
    throw Error(name_or_path, 0,
                "neither a file nor a built-in search space; " +
                    suggestion(name_or_path, built_in_spaces()));
  }
  return search_space_from_yaml(read_file(name_or_path), name_or_path);
}

ChoiceLayout choice_layout(const SearchSpace& space) {
  ChoiceLayout layout;
  int& next = layout.count;
  for (const StageSpace& stage : space.stages) {
    StageChoices& at = layout.stages.emplace_back();
    at.kind = next++;
    at.width = next++;
    at.depth = next++;
    at.blocks.reserve(stage.blocks.size());
    for (size_t b = 0; b < stage.blocks.size(); ++b) {
      at.blocks.push_back({next, next + 1, next + 2, next + 3});
      next += 4;
    }
  }
  return layout;
}

std::vector<Choice> choices(const SearchSpace& space) {
  std::vector<Choice> list;
  const auto add = [&](const std::string& name, ChoiceKind kind, const auto& options) {
    list.push_back({.name = name, .kind = kind, .options = texts_of(options)});
    if constexpr (std::is_arithmetic_v<typename std::decay_t<decltype(options)>::value_type>) {
      list.back().widest = largest(options);
    }
  };
  add("resolution", ChoiceKind::kOther, space.resolution);
  add("activation", ChoiceKind::kOther, space.activation);
  add("layer_scale", ChoiceKind::kOther, space.layer_scale);
  add("stem.width", ChoiceKind::kFilters, space.stem_width);
  for (size_t s = 0; s < space.stages.size(); ++s) {
    const StageSpace& stage = space.stages[s];
    const std::string name = "stages." + std::to_string(s) + ".";
    const bool has_uibs =
        std::find(stage.kind.begin(), stage.kind.end(), StageKind::kUib) != stage.kind.end();
    const auto unless_own_weights = [&](ChoiceKind kind) {
      const bool are_own = space.sharing == WeightSharing::kBlocks && has_uibs;
      return are_own ? ChoiceKind::kOther : kind;
    };
    add(name + "block", ChoiceKind::kOther, stage.kind);
    add(name + "width", ChoiceKind::kFilters, stage.width);
    add(name + "depth", ChoiceKind::kOperation, stage.depth);
    for (size_t b = 0; b < stage.blocks.size(); ++b) {
      const BlockSpace& block = stage.blocks[b];
      const std::string prefix = name + std::to_string(b) + ".";
      add(prefix + "expansion", unless_own_weights(ChoiceKind::kFilters), block.expansion);
      add(prefix + "kernel1", unless_own_weights(ChoiceKind::kOperation), block.kernel1);
      add(prefix + "kernel2", unless_own_weights(ChoiceKind::kOperation), block.kernel2);
      add(prefix + "attention", ChoiceKind::kOperation, block.attention);
    }
  }
  return list;
}

double size(const SearchSpace& space) {
  double product = double(space.resolution.size() * space.activation.size() *
                          space.layer_scale.size() * space.stem_width.size());
  for (const StageSpace& stage : space.stages) {
    double ways = 0;
    for (StageKind kind : stage.kind) {
      if (kind != StageKind::kUib) {
        ways += double(stage.blocks[0].expansion.size());
        continue;
      }
      for (int depth : stage.depth) {
        double of_depth = 1;
        for (int b = 0; b < depth; ++b) {
          const BlockSpace& block = stage.blocks[b];
          of_depth *= double(block.expansion.size() * block.kernel1.size() * block.kernel2.size() *
                             block.attention.size());
        }
        ways += of_depth;
      }
    }
    product *= ways * double(stage.width.size());
  }
  return product;
}

}  // namespace ridgewalk
