#include "space/architecture.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>

#include "space/block_yaml.h"
#include "space/compact.h"

namespace ridgewalk {

void fields(auto& v, Of<NormConstants> auto& norm) {
  v.optional("epsilon", norm.epsilon);
  v.optional("momentum", norm.momentum);
}

void fields(auto& v, Of<Regularization> auto& regularization) {
  v.optional("drop_path", regularization.drop_path);
  v.optional("flat_drop_path", regularization.flat_drop_path);
  v.optional("dropout", regularization.dropout);
}

void fields(auto& v, Of<Head> auto& head) {
  v.optional("width", head.width);
  v.optional("features", head.features);
  v.optional("features_norm", head.features_norm);
}

void fields(auto& v, Of<Detector> auto& detector) {
  v.optional("pyramid", detector.pyramid);
  v.optional("head_depth", detector.head_depth);
  v.optional("anchors", detector.anchors);
}

void fields(auto& v, Of<CompactPlan> auto& plan) {
  v.required("base", plan.base);
  v.required("expanded", plan.expanded);
  v.optional("squeezed", plan.squeezed);
  v.optional("squeeze_ratio", plan.squeeze_ratio);
  v.optional("n1", plan.n1);
  v.optional("n2", plan.n2);
  v.optional("n3", plan.n3);
  v.optional("n4", plan.n4);
  v.optional("heads", plan.heads);
  v.optional("kv_stride", plan.kv_stride);
  v.optional("hidden", plan.hidden);
  v.optional("dropout", plan.dropout);
}

namespace {

constexpr size_t kMostBlocks = 10000;

std::string place(const Architecture& a, size_t stage, size_t block) {
  return "architecture '" + a.name + "', stage " + std::to_string(stage) + ", block " +
         std::to_string(block);
}

void block(FieldReader& reader, const char* name, Conv& stem, Activation activation) {
  const YamlSource source = reader.child(name);
  const Block block = read_block(source, activation);
  if (!std::holds_alternative<Conv>(block)) source.fail("the stem must be a conv");
  stem = std::get<Conv>(block);
}

void block(FieldWriter& writer, const char* name, const Conv& stem, Activation activation) {
  writer.out() << YAML::Key << name << YAML::Value;
  write_block(writer.out(), stem, activation);
}

using Stages = std::vector<std::vector<Block>>;

void blocks(FieldReader& reader, const char* name, Stages& stages, Activation activation) {
  const YamlSource list = reader.child(name);
  if (!list.node.IsSequence()) list.fail("'stages' must be a list of lists of blocks");
  size_t count = 0;
  for (const YAML::Node& stage : list.node) {
    if (++count > kMostBlocks) list.fail("more than 10000 stages");
    const YamlSource source{stage, list.file};
    if (!stage.IsSequence()) source.fail("a stage must be a list of blocks");
    auto& blocks = stages.emplace_back();
    for (const YAML::Node& block : stage) {
      // YAML aliases can make a short file describe a huge network.
      if (++count > kMostBlocks) source.fail("more than 10000 blocks");
      blocks.push_back(read_block({block, list.file}, activation));
    }
  }
}

void blocks(FieldWriter& writer, const char* name, const Stages& stages, Activation activation) {
  YAML::Emitter& out = writer.out();
  out << YAML::Key << name << YAML::Value << YAML::BeginSeq;
  for (const auto& stage : stages) {
    out << YAML::Block << YAML::BeginSeq;
    for (const Block& block : stage) write_block(out, block, activation);
    out << YAML::EndSeq;
  }
  out << YAML::EndSeq;
}

// Of every network.
void common_fields(auto& v, Of<Architecture> auto& a) {
  v.required("name", a.name);
  v.required("resolution", a.resolution);
  v.optional("channels", a.channels);
  v.optional("classes", a.classes);
  v.optional("activation", a.activation);
  v.optional("norm", a.norm);
  v.omittable("layer_scale", a.layer_scale);
  v.omittable("regularization", a.regularization);
  v.omittable("detector", a.detector);
}

// Of a network whose blocks are listed.
void block_fields(auto& v, Of<Architecture> auto& a) {
  v.optional("fixed_stem_below", a.fixed_stem_below);
  block(v, "stem", a.stem, a.activation);
  blocks(v, "stages", a.stages, a.activation);
  v.required("head", a.head);
}

}  // namespace

void fields(auto& v, Of<Architecture> auto& a) {
  common_fields(v, a);
  block_fields(v, a);
}

void validate(const Architecture& a) {
  // Put together only for an error: each network that is priced is validated.
  const auto name = [&] { return "architecture '" + a.name + "'"; };
  const auto within = [&](const char* field, int value, int low, int high) {
    if (value < low || value > high) {
      throw Error(name() + ": " + field + " is " + std::to_string(value) + "; it must be from " +
                  std::to_string(low) + " to " + std::to_string(high));
    }
  };
  if (std::any_of(a.name.begin(), a.name.end(), [](unsigned char c) { return std::iscntrl(c); })) {
    throw Error("the name of an architecture contains a control character; choose another name");
  }
  within("resolution", a.resolution, 1, 8192);
  within("channels", a.channels, 1, 1024);
  within("classes", a.classes, 1, 1000000);
  within("head.width", a.head.width, 0, 65536);
  within("head.features", a.head.features, 0, 65536);
  if (a.detector) {
    within("detector.pyramid", a.detector->pyramid, 1, 65536);
    within("detector.head_depth", a.detector->head_depth, 0, 64);
    within("detector.anchors", a.detector->anchors, 1, 1000);
    if (int64_t{a.classes} * a.detector->anchors > 1000000) {
      throw Error(name() + ": classes times detector.anchors must be at most 1000000");
    }
    if (a.resolution % kDetectorStride != 0) {
      throw Error(name() + ": resolution is " + std::to_string(a.resolution) +
                  "; that of a detector must be a multiple of 32");
    }
  }
  const auto fraction = [&](const char* field, double value, double high) {
    if (!(value >= 0 && value <= high)) {
      throw Error(name() + ": " + field + " must be from 0 to " + number_text(high));
    }
  };
  fraction("layer_scale", a.layer_scale, 1);
  fraction("norm.epsilon", a.norm.epsilon, 1);
  fraction("norm.momentum", a.norm.momentum, 1);
  fraction("regularization.drop_path", a.regularization.drop_path, 0.99);
  fraction("regularization.dropout", a.regularization.dropout, 0.99);
  fraction("fixed_stem_below", a.fixed_stem_below, 64);
  std::string wrong = violation(a.stem);
  if (wrong.empty()) wrong = input_violation(a.stem, a.channels);
  if (!wrong.empty()) throw Error(name() + ", stem: " + wrong);
  size_t blocks = 0;
  int width = a.stem.width;
  for (size_t s = 0; s < a.stages.size(); ++s) {
    for (size_t b = 0; b < a.stages[s].size(); ++b) {
      wrong = violation(a.stages[s][b]);
      if (wrong.empty()) wrong = input_violation(a.stages[s][b], width);
      if (!wrong.empty()) throw Error(place(a, s, b) + ": " + wrong);
      width = output_width(a.stages[s][b], width);
    }
    blocks += a.stages[s].size();
  }
  if (blocks > kMostBlocks) throw Error(name() + ": more than 10000 blocks");
}

void require_classifier(const Architecture& a) {
  if (!a.detector) return;
  throw Error("'" + a.name +
              "' is a detector, which can be described, swept, timed and exported; give the "
              "classifier, without 'detector'");
}

std::string to_yaml(const Architecture& a) { return yaml_document(a); }

Architecture architecture_from_yaml(const std::string& text, const std::string& file) {
  FieldReader reader(parse_yaml(text, file));
  Architecture a;
  common_fields(reader, a);
  std::optional<CompactPlan> plan;
  reader.optional("compact", plan);
  if (!plan) block_fields(reader, a);
  reader.finish();
  at_line(reader.source(), [&] {
    if (plan) apply(*plan, a);
    validate(a);
  });
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
  int before = architecture.stem.width;  // input channels of the block, unscaled and scaled
  int before_scaled = scaled.stem.width;
  for (auto& stage : scaled.stages) {
    for (Block& block : stage) {
      const int after = output_width(block, before);
      std::visit(
          [&](auto& b) {
            if constexpr (requires { b.expanded; }) {
              b.expanded = make_divisible(before_scaled * (double(b.expanded) / before));
            }
            if constexpr (requires { b.groups; }) {
              if (b.groups == b.width) b.groups = widen(b.width);  // depthwise
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
