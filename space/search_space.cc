#include "space/search_space.h"

#include <algorithm>
#include <cmath>

#include "space/embedded.h"
#include "space/yaml.h"

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
         text_of(mqa->value_dim) + "/" + text_of(mqa->kv_stride);
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
  if (options.empty()) throw Error(name + " is an empty choice; list at least one option");
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

// Two expansions that round to the same channels would make two decisions one architecture.
void check_expansions(const std::string& name, const std::vector<double>& expansions,
                      const std::vector<int>& input_widths) {
  for (int width : input_widths) {
    for (size_t i = 0; i < expansions.size(); ++i) {
      if (make_divisible(width * expansions[i]) > kLargestWidth) {
        throw Error(name + ".expansion: " + text_of(expansions[i]) + " of " + text_of(width) +
                    " channels is more than " + text_of(kLargestWidth) + "; choose less");
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

Activation read_activation(const YamlSource& source, const std::string& name) {
  if (const auto activation = activation_named(name)) return *activation;
  source.fail("no activation is named '" + name +
              "'; there are relu, relu6, hard_swish, silu, gelu");
}

std::vector<std::optional<MobileMqa>> read_attention(const YamlSource& source) {
  const auto read_one = [&](const YAML::Node& node) -> std::optional<MobileMqa> {
    if (node.IsScalar()) {
      if (node.Scalar() != "none")
        YamlSource{node, source.file}.fail("attention is 'none' or {heads: ...}");
      return std::nullopt;
    }
    FieldReader reader({node, source.file});
    MobileMqa mqa;
    mqa.heads = reader.required<int>("heads");
    mqa.key_dim = reader.required<int>("key_dim");
    mqa.value_dim = reader.required<int>("value_dim");
    mqa.kv_stride = reader.required<int>("kv_stride");
    reader.finish();
    return mqa;
  };
  if (!source.node.IsSequence()) return {read_one(source.node)};
  if (source.node.size() == 0) source.fail("'attention' is an empty choice");
  std::vector<std::optional<MobileMqa>> options;
  for (const YAML::Node& node : source.node) options.push_back(read_one(node));
  return options;
}

// Reads what is there over `block`'s values.
void read_block_space(FieldReader& reader, BlockSpace& block) {
  if (reader.has("expansion")) block.expansion = reader.list<double>("expansion");
  if (reader.has("kernel1")) block.kernel1 = reader.list<int>("kernel1");
  if (reader.has("kernel2")) block.kernel2 = reader.list<int>("kernel2");
  if (reader.has("attention")) block.attention = read_attention(reader.child("attention"));
}

// A stage of one block description: the strided first block does without the option of no second
// depthwise convolution, which is the one that takes the stride.
std::vector<BlockSpace> repeated(const BlockSpace& block, int count, int stride) {
  std::vector<BlockSpace> blocks(count, block);
  if (stride == 2 && block.kernel2.size() > 1) std::erase(blocks[0].kernel2, 0);
  return blocks;
}

StageSpace read_stage(const YamlSource& source) {
  FieldReader reader(source);
  StageSpace stage;
  if (reader.has("block")) {
    stage.kind.clear();
    for (const auto& name : reader.list<std::string>("block")) {
      if (name == "uib") {
        stage.kind.push_back(StageKind::kUib);
      } else if (name == "fused_ib") {
        stage.kind.push_back(StageKind::kFusedIb);
      } else if (name == "conv_pair") {
        stage.kind.push_back(StageKind::kConvPair);
      } else {
        reader.child("block").fail("a stage has no block '" + name + "'; uib, fused_ib, conv_pair");
      }
    }
  }
  reader.optional("stride", stage.stride);
  reader.optional("kernel", stage.kernel);
  stage.width = reader.list<int>("width");
  stage.depth = reader.has("depth") ? reader.list<int>("depth") : std::vector<int>{1};
  const int deepest = *std::max_element(stage.depth.begin(), stage.depth.end());
  if (deepest < 1 || deepest > kDeepestStage) source.fail("'depth' must be from 1 to 256");
  BlockSpace block{.expansion = {4}, .kernel1 = {0}, .kernel2 = {3}, .attention = {std::nullopt}};
  read_block_space(reader, block);
  stage.blocks = repeated(block, deepest, stage.stride);
  if (reader.has("blocks")) {
    const YamlSource list = reader.child("blocks");
    if (!list.node.IsSequence() || std::ssize(stage.blocks) != std::ssize(list.node)) {
      list.fail("'blocks' must list as many blocks as the largest depth");
    }
    for (int b = 0; b < deepest; ++b) {
      FieldReader own({list.node[b], source.file});
      read_block_space(own, stage.blocks[b]);
      own.finish();
    }
  }
  reader.finish();
  return stage;
}

template <class T>
void write_list(YAML::Emitter& out, const char* name, const std::vector<T>& options) {
  out << YAML::Key << name << YAML::Value << YAML::Flow << YAML::BeginSeq;
  for (const T& option : options) out << text_of(option);
  out << YAML::EndSeq;
}

void write_block_space(YAML::Emitter& out, const BlockSpace& block) {
  write_list(out, "expansion", block.expansion);
  write_list(out, "kernel1", block.kernel1);
  write_list(out, "kernel2", block.kernel2);
  out << YAML::Key << "attention" << YAML::Value << YAML::Flow << YAML::BeginSeq;
  for (const auto& mqa : block.attention) {
    if (!mqa) {
      out << "none";
      continue;
    }
    out << YAML::Flow << YAML::BeginMap << YAML::Key << "heads" << YAML::Value << mqa->heads
        << YAML::Key << "key_dim" << YAML::Value << mqa->key_dim << YAML::Key << "value_dim"
        << YAML::Value << mqa->value_dim << YAML::Key << "kv_stride" << YAML::Value
        << mqa->kv_stride << YAML::EndMap;
  }
  out << YAML::EndSeq;
}

}  // namespace

std::string_view to_string(StageKind kind) {
  if (kind == StageKind::kUib) return "uib";
  return kind == StageKind::kFusedIb ? "fused_ib" : "conv_pair";
}

void validate(const SearchSpace& space) {
  const std::string name = "search space '" + space.name + "': ";
  check_options(name + "resolution", space.resolution, [](int r) { return r >= 1 && r <= 8192; });
  check_options(name + "activation", space.activation, [](Activation) { return true; });
  check_options(name + "layer_scale", space.layer_scale, [](double v) { return v >= 0 && v <= 1; });
  check_options(name + "stem.width", space.stem_width,
                [](int w) { return w >= 1 && w <= kLargestWidth; });
  // What is no choice.
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

std::string to_yaml(const SearchSpace& space) {
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "name" << YAML::Value << space.name;
  write_list(out, "resolution", space.resolution);
  out << YAML::Key << "channels" << YAML::Value << space.channels;
  out << YAML::Key << "classes" << YAML::Value << space.classes;
  write_list(out, "activation", space.activation);
  write_list(out, "layer_scale", space.layer_scale);
  out << YAML::Key << "stem" << YAML::Value << YAML::Flow << YAML::BeginMap << YAML::Key << "kernel"
      << YAML::Value << space.stem_kernel << YAML::Key << "stride" << YAML::Value
      << space.stem_stride;
  write_list(out, "width", space.stem_width);
  out << YAML::EndMap << YAML::Key << "stages" << YAML::Value << YAML::BeginSeq;
  for (const StageSpace& stage : space.stages) {
    out << YAML::BeginMap;
    write_list(out, "block", stage.kind);
    out << YAML::Key << "stride" << YAML::Value << stage.stride;
    out << YAML::Key << "kernel" << YAML::Value << stage.kernel;
    write_list(out, "width", stage.width);
    write_list(out, "depth", stage.depth);
    if (stage.blocks == repeated(stage.blocks.back(), int(stage.blocks.size()), stage.stride)) {
      write_block_space(out, stage.blocks.back());
    } else {
      out << YAML::Key << "blocks" << YAML::Value << YAML::BeginSeq;
      for (const BlockSpace& block : stage.blocks) {
        out << YAML::BeginMap;
        write_block_space(out, block);
        out << YAML::EndMap;
      }
      out << YAML::EndSeq;
    }
    out << YAML::EndMap;
  }
  out << YAML::EndSeq << YAML::Key << "head" << YAML::Value << YAML::Flow << YAML::BeginMap
      << YAML::Key << "width" << YAML::Value << space.head.width << YAML::Key << "features"
      << YAML::Value << space.head.features << YAML::EndMap << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

SearchSpace search_space_from_yaml(const std::string& text, const std::string& file) {
  FieldReader reader(parse_yaml(text, file));
  SearchSpace space;
  space.name = reader.required<std::string>("name");
  space.resolution = reader.list<int>("resolution");
  reader.optional("channels", space.channels);
  reader.optional("classes", space.classes);
  if (reader.has("activation")) {
    space.activation.clear();
    for (const auto& name : reader.list<std::string>("activation")) {
      space.activation.push_back(read_activation(reader.child("activation"), name));
    }
  }
  if (reader.has("layer_scale")) space.layer_scale = reader.list<double>("layer_scale");
  FieldReader stem(reader.child("stem"));
  stem.optional("kernel", space.stem_kernel);
  stem.optional("stride", space.stem_stride);
  space.stem_width = stem.list<int>("width");
  stem.finish();
  const YamlSource stages = reader.child("stages");
  if (!stages.node.IsSequence()) stages.fail("'stages' must be a list");
  for (const YAML::Node& node : stages.node) {
    const YamlSource source{node, file};
    const StageSpace stage = read_stage(source);
    try {
      check_stage("stages." + std::to_string(space.stages.size()), stage);
    } catch (const Error& error) {
      source.fail(error.what());
    }
    space.stages.push_back(stage);
  }
  FieldReader head(reader.child("head"));
  head.optional("width", space.head.width);
  head.optional("features", space.head.features);
  head.finish();
  reader.finish();
  try {
    validate(space);
  } catch (const Error& error) {
    reader.source().fail(error.what());
  }
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
    add(name + "block", ChoiceKind::kOther, stage.kind);
    add(name + "width", ChoiceKind::kFilters, stage.width);
    add(name + "depth", ChoiceKind::kOperation, stage.depth);
    for (size_t b = 0; b < stage.blocks.size(); ++b) {
      const BlockSpace& block = stage.blocks[b];
      const std::string prefix = name + std::to_string(b) + ".";
      add(prefix + "expansion", ChoiceKind::kFilters, block.expansion);
      add(prefix + "kernel1", ChoiceKind::kOperation, block.kernel1);
      add(prefix + "kernel2", ChoiceKind::kOperation, block.kernel2);
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
