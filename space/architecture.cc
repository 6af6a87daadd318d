#include "space/architecture.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>

#include "space/block_yaml.h"
#include "space/compact.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

constexpr size_t kMostBlocks = 10000;

void check(const std::string& where, const std::string& wrong) {
  if (!wrong.empty()) throw Error(where + ": " + wrong);
}

std::string place(const Architecture& a, size_t stage, size_t block) {
  return "architecture '" + a.name + "', stage " + std::to_string(stage) + ", block " +
         std::to_string(block);
}

void write_training(YAML::Emitter& out, const Architecture& a) {
  const auto number = [&](const char* name, double value) {
    out << YAML::Key << name << YAML::Value << number_text(value);
  };
  out << YAML::Key << "norm" << YAML::Value << YAML::Flow << YAML::BeginMap;
  number("epsilon", a.norm.epsilon);
  number("momentum", a.norm.momentum);
  out << YAML::EndMap;
  if (a.layer_scale != 0) number("layer_scale", a.layer_scale);
  const Regularization& r = a.regularization;
  if (r != Regularization{}) {
    out << YAML::Key << "regularization" << YAML::Value << YAML::Flow << YAML::BeginMap;
    number("drop_path", r.drop_path);
    out << YAML::Key << "flat_drop_path" << YAML::Value << r.flat_drop_path;
    number("dropout", r.dropout);
    out << YAML::EndMap;
  }
}

void read_training(FieldReader& reader, Architecture& a) {
  if (reader.has("norm")) {
    FieldReader norm(reader.child("norm"));
    norm.optional("epsilon", a.norm.epsilon);
    norm.optional("momentum", a.norm.momentum);
    norm.finish();
  }
  reader.optional("layer_scale", a.layer_scale);
  if (reader.has("regularization")) {
    FieldReader regularization(reader.child("regularization"));
    regularization.optional("drop_path", a.regularization.drop_path);
    regularization.optional("flat_drop_path", a.regularization.flat_drop_path);
    regularization.optional("dropout", a.regularization.dropout);
    regularization.finish();
  }
}

CompactPlan read_compact(FieldReader reader) {
  CompactPlan plan;
  plan.base = reader.required<int>("base");
  plan.expanded = reader.required<int>("expanded");
  if (reader.has("squeezed")) plan.squeezed = reader.required<int>("squeezed");
  if (reader.has("squeeze_ratio")) plan.squeeze_ratio = reader.required<double>("squeeze_ratio");
  reader.optional("n1", plan.n1);
  reader.optional("n2", plan.n2);
  reader.optional("n3", plan.n3);
  reader.optional("n4", plan.n4);
  reader.optional("heads", plan.heads);
  reader.optional("kv_stride", plan.kv_stride);
  reader.optional("hidden", plan.hidden);
  reader.optional("dropout", plan.dropout);
  reader.finish();
  return plan;
}

void read_blocks(FieldReader& reader, Architecture& a) {
  const std::string& file = reader.source().file;
  const Block stem = read_block(reader.child("stem"), a.activation);
  if (!std::holds_alternative<Conv>(stem)) reader.child("stem").fail("the stem must be a conv");
  a.stem = std::get<Conv>(stem);
  reader.optional("fixed_stem_below", a.fixed_stem_below);
  const YamlSource stages = reader.child("stages");
  if (!stages.node.IsSequence()) stages.fail("'stages' must be a list of lists of blocks");
  size_t count = 0;
  for (const YAML::Node& stage : stages.node) {
    if (++count > kMostBlocks) stages.fail("more than 10000 stages");
    const YamlSource source{stage, file};
    if (!stage.IsSequence()) source.fail("a stage must be a list of blocks");
    auto& blocks = a.stages.emplace_back();
    for (const YAML::Node& block : stage) {
      // Aliases make a short file long: stop before it is.
      if (++count > kMostBlocks) source.fail("more than 10000 blocks");
      blocks.push_back(read_block({block, file}, a.activation));
    }
  }
  FieldReader head(reader.child("head"));
  head.optional("width", a.head.width);
  head.optional("features", a.head.features);
  head.optional("features_norm", a.head.features_norm);
  head.finish();
}

}  // namespace

void validate(const Architecture& a) {
  const std::string name = "architecture '" + a.name + "'";
  const auto within = [&](const char* field, int value, int low, int high) {
    if (value < low || value > high) {
      throw Error(name + ": " + field + " is " + std::to_string(value) + "; it must be from " +
                  std::to_string(low) + " to " + std::to_string(high));
    }
  };
  if (std::any_of(a.name.begin(), a.name.end(), [](unsigned char c) { return std::iscntrl(c); })) {
    throw Error("an architecture's name holds a control character; give it another");
  }
  within("resolution", a.resolution, 1, 8192);
  within("channels", a.channels, 1, 1024);
  within("classes", a.classes, 1, 1000000);
  within("head.width", a.head.width, 0, 65536);
  within("head.features", a.head.features, 0, 65536);
  const auto fraction = [&](const char* field, double value, double high) {
    if (!(value >= 0 && value <= high)) {
      throw Error(name + ": " + field + " must be from 0 to " + number_text(high));
    }
  };
  fraction("layer_scale", a.layer_scale, 1);
  fraction("norm.epsilon", a.norm.epsilon, 1);
  fraction("norm.momentum", a.norm.momentum, 1);
  fraction("regularization.drop_path", a.regularization.drop_path, 0.99);
  fraction("regularization.dropout", a.regularization.dropout, 0.99);
  fraction("fixed_stem_below", a.fixed_stem_below, 64);
  check(name + ", stem", violation(a.stem));
  size_t blocks = 0;
  for (size_t s = 0; s < a.stages.size(); ++s) {
    for (size_t b = 0; b < a.stages[s].size(); ++b) {
      check(place(a, s, b), violation(a.stages[s][b]));
    }
    blocks += a.stages[s].size();
  }
  if (blocks > kMostBlocks) throw Error(name + ": more than 10000 blocks");
}

std::string to_yaml(const Architecture& a) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  out << YAML::Key << "name" << YAML::Value << a.name;
  out << YAML::Key << "resolution" << YAML::Value << a.resolution;
  out << YAML::Key << "channels" << YAML::Value << a.channels;
  out << YAML::Key << "classes" << YAML::Value << a.classes;
  out << YAML::Key << "activation" << YAML::Value << std::string(to_string(a.activation));
  write_training(out, a);
  out << YAML::Key << "fixed_stem_below" << YAML::Value << number_text(a.fixed_stem_below);
  out << YAML::Key << "stem" << YAML::Value;
  write_block(out, a.stem, a.activation);
  out << YAML::Key << "stages" << YAML::Value << YAML::BeginSeq;
  for (const auto& stage : a.stages) {
    out << YAML::Block << YAML::BeginSeq;
    for (const Block& block : stage) write_block(out, block, a.activation);
    out << YAML::EndSeq;
  }
  out << YAML::EndSeq;
  out << YAML::Key << "head" << YAML::Value << YAML::Flow << YAML::BeginMap << YAML::Key << "width"
      << YAML::Value << a.head.width << YAML::Key << "features" << YAML::Value << a.head.features
      << YAML::Key << "features_norm" << YAML::Value << a.head.features_norm << YAML::EndMap
      << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

Architecture architecture_from_yaml(const std::string& text, const std::string& file) {
  FieldReader reader(parse_yaml(text, file));
  Architecture a;
  a.name = reader.required<std::string>("name");
  a.resolution = reader.required<int>("resolution");
  reader.optional("channels", a.channels);
  reader.optional("classes", a.classes);
  read_activation(reader, a.activation);
  read_training(reader, a);
  std::optional<CompactPlan> plan;
  if (reader.has("compact")) {
    plan = read_compact(FieldReader(reader.child("compact")));
  } else {
    read_blocks(reader, a);
  }
  reader.finish();
  try {
    if (plan) apply(*plan, a);
    validate(a);
  } catch (const Error& error) {
    reader.source().fail(error.what());
  }
  return a;
}

Architecture load_architecture(const std::string& path) {
  return architecture_from_yaml(read_file(path), path);
}

Architecture scale(const Architecture& architecture, double multiplier) {
  if (!(multiplier > 0 && multiplier <= 64)) throw Error("a width multiplier must be in (0, 64]");
  Architecture scaled = architecture;
  const auto widen = [&](int width) { return make_divisible(width * multiplier); };
  if (multiplier >= architecture.fixed_stem_below) {
    scaled.stem.width = widen(architecture.stem.width);
  }
  int before = architecture.stem.width;  // channels in front of the block, unscaled and scaled
  int before_scaled = scaled.stem.width;
  for (auto& stage : scaled.stages) {
    for (Block& block : stage) {
      const int after = output_width(block, before);
      std::visit(
          [&](auto& b) {
            if constexpr (requires { b.expanded; }) {
              b.expanded = make_divisible(before_scaled * (double(b.expanded) / before));
            }
            if constexpr (requires { b.width; }) b.width = widen(b.width);
          },
          block);
      before = after;
      before_scaled = output_width(block, before_scaled);
    }
  }
  if (architecture.head.width > 0) {
    const int width = widen(architecture.head.width);
    const bool is_last = architecture.head.features == 0;
    scaled.head.width = is_last ? std::max(width, architecture.head.width) : width;
  }
  validate(scaled);
  return scaled;
}

}  // namespace ridgewalk
