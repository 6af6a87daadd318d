#include "space/architecture.h"

#include <cmath>

#include "space/yaml.h"

namespace ridgewalk {
namespace {

void check(const std::string& where, const std::string& wrong) {
  if (!wrong.empty()) throw Error(where + ": " + wrong);
}

std::string place(const Architecture& a, size_t stage, size_t block) {
  return "architecture '" + a.name + "', stage " + std::to_string(stage) + ", block " +
         std::to_string(block);
}

// One block as a flow mapping. A block's activation is written where it differs from the network's.
class BlockWriter {
 public:
  BlockWriter(YAML::Emitter& out, Activation default_activation)
      : out_(out), default_activation_(default_activation) {}

  void operator()(const Conv& b) {
    begin("conv");
    field("kernel", b.kernel);
    field("stride", b.stride);
    field("width", b.width);
    end(b.activation);
  }
  void operator()(const FusedIb& b) {
    begin("fused_ib");
    field("kernel", b.kernel);
    field("stride", b.stride);
    field("expanded", b.expanded);
    field("width", b.width);
    end(b.activation);
  }
  void operator()(const Uib& b) {
    begin("uib");
    field("kernel1", b.kernel1);
    field("kernel2", b.kernel2);
    field("stride", b.stride);
    field("expanded", b.expanded);
    field("width", b.width);
    if (b.squeeze_excite) {
      out_ << YAML::Key << "squeeze_excite" << YAML::Value << YAML::Flow << YAML::BeginMap;
      field("squeezed", b.squeeze_excite->squeezed);
      field("activation", std::string(to_string(b.squeeze_excite->activation)));
      field("gate", std::string(b.squeeze_excite->hard_sigmoid ? "hard_sigmoid" : "sigmoid"));
      out_ << YAML::EndMap;
    }
    end(b.activation);
  }
  void operator()(const MobileMqa& b) {
    begin("mqa");
    field("heads", b.heads);
    field("key_dim", b.key_dim);
    field("value_dim", b.value_dim);
    field("kv_stride", b.kv_stride);
    out_ << YAML::EndMap;
  }

 private:
  void begin(const char* kind) {
    out_ << YAML::Flow << YAML::BeginMap;
    field("block", kind);
  }
  template <class T>
  void field(const char* name, const T& value) {
    out_ << YAML::Key << name << YAML::Value << value;
  }
  void end(Activation activation) {
    if (activation != default_activation_) field("activation", std::string(to_string(activation)));
    out_ << YAML::EndMap;
  }

  YAML::Emitter& out_;
  Activation default_activation_;
};

void read_activation(FieldReader& reader, Activation& activation) {
  if (!reader.has("activation")) return;
  const auto name = reader.required<std::string>("activation");
  const auto found = activation_named(name);
  if (!found) {
    reader.child("activation")
        .fail("no activation is named '" + name +
              "'; there are none, relu, relu6, hard_swish, silu, gelu");
  }
  activation = *found;
}

Conv read_conv(FieldReader& reader, Activation activation) {
  Conv b{.activation = activation};
  reader.optional("kernel", b.kernel);
  reader.optional("stride", b.stride);
  b.width = reader.required<int>("width");
  read_activation(reader, b.activation);
  return b;
}

FusedIb read_fused_ib(FieldReader& reader, Activation activation) {
  FusedIb b{.activation = activation};
  reader.optional("kernel", b.kernel);
  reader.optional("stride", b.stride);
  b.expanded = reader.required<int>("expanded");
  b.width = reader.required<int>("width");
  read_activation(reader, b.activation);
  return b;
}

SqueezeExcite read_squeeze_excite(const YamlSource& source) {
  FieldReader reader(source);
  SqueezeExcite gate{.squeezed = reader.required<int>("squeezed")};
  read_activation(reader, gate.activation);
  std::string name = "hard_sigmoid";
  reader.optional("gate", name);
  if (name != "hard_sigmoid" && name != "sigmoid") {
    reader.child("gate").fail("'gate' must be hard_sigmoid or sigmoid");
  }
  gate.hard_sigmoid = name == "hard_sigmoid";
  reader.finish();
  return gate;
}

Uib read_uib(FieldReader& reader, Activation activation) {
  Uib b{.activation = activation};
  b.kernel1 = reader.required<int>("kernel1");
  b.kernel2 = reader.required<int>("kernel2");
  reader.optional("stride", b.stride);
  b.expanded = reader.required<int>("expanded");
  b.width = reader.required<int>("width");
  if (reader.has("squeeze_excite")) {
    b.squeeze_excite = read_squeeze_excite(reader.child("squeeze_excite"));
  }
  read_activation(reader, b.activation);
  return b;
}

MobileMqa read_mqa(FieldReader& reader) {
  MobileMqa b;
  b.heads = reader.required<int>("heads");
  b.key_dim = reader.required<int>("key_dim");
  b.value_dim = reader.required<int>("value_dim");
  b.kv_stride = reader.required<int>("kv_stride");
  return b;
}

Block read_block(const YamlSource& source, Activation activation) {
  FieldReader reader(source);
  const auto kind = reader.required<std::string>("block");
  Block block;
  if (kind == "conv") {
    block = read_conv(reader, activation);
  } else if (kind == "fused_ib") {
    block = read_fused_ib(reader, activation);
  } else if (kind == "uib") {
    block = read_uib(reader, activation);
  } else if (kind == "mqa") {
    block = read_mqa(reader);
  } else {
    source.fail("no block is named '" + kind + "'; there are conv, fused_ib, uib, mqa");
  }
  reader.finish();
  const std::string wrong = violation(block);
  if (!wrong.empty()) source.fail(wrong);
  return block;
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
  within("resolution", a.resolution, 1, 8192);
  within("channels", a.channels, 1, 1024);
  within("classes", a.classes, 1, 1000000);
  within("head.width", a.head.width, 1, 65536);
  within("head.features", a.head.features, 1, 65536);
  if (!(a.layer_scale >= 0 && a.layer_scale <= 1))
    throw Error(name + ": layer_scale must be from 0 to 1");
  check(name + ", stem", violation(a.stem));
  size_t blocks = 0;
  for (size_t s = 0; s < a.stages.size(); ++s) {
    for (size_t b = 0; b < a.stages[s].size(); ++b) {
      check(place(a, s, b), violation(a.stages[s][b]));
    }
    blocks += a.stages[s].size();
  }
  if (blocks > 10000) throw Error(name + ": more than 10000 blocks");
}

std::string to_yaml(const Architecture& a) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  out << YAML::Key << "name" << YAML::Value << a.name;
  out << YAML::Key << "resolution" << YAML::Value << a.resolution;
  out << YAML::Key << "channels" << YAML::Value << a.channels;
  out << YAML::Key << "classes" << YAML::Value << a.classes;
  out << YAML::Key << "activation" << YAML::Value << std::string(to_string(a.activation));
  if (a.layer_scale != 0)
    out << YAML::Key << "layer_scale" << YAML::Value << number_text(a.layer_scale);
  BlockWriter writer(out, a.activation);
  out << YAML::Key << "stem" << YAML::Value;
  writer(a.stem);
  out << YAML::Key << "stages" << YAML::Value << YAML::BeginSeq;
  for (const auto& stage : a.stages) {
    out << YAML::Block << YAML::BeginSeq;
    for (const Block& block : stage) std::visit(writer, block);
    out << YAML::EndSeq;
  }
  out << YAML::EndSeq;
  out << YAML::Key << "head" << YAML::Value << YAML::Flow << YAML::BeginMap << YAML::Key << "width"
      << YAML::Value << a.head.width << YAML::Key << "features" << YAML::Value << a.head.features
      << YAML::EndMap << YAML::EndMap;
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
  reader.optional("layer_scale", a.layer_scale);
  const Block stem = read_block(reader.child("stem"), a.activation);
  if (!std::holds_alternative<Conv>(stem)) reader.child("stem").fail("the stem must be a conv");
  a.stem = std::get<Conv>(stem);
  const YamlSource stages = reader.child("stages");
  if (!stages.node.IsSequence()) stages.fail("'stages' must be a list of lists of blocks");
  for (const YAML::Node& stage : stages.node) {
    const YamlSource source{stage, file};
    if (!stage.IsSequence()) source.fail("a stage must be a list of blocks");
    auto& blocks = a.stages.emplace_back();
    for (const YAML::Node& block : stage) blocks.push_back(read_block({block, file}, a.activation));
  }
  FieldReader head(reader.child("head"));
  head.optional("width", a.head.width);
  head.optional("features", a.head.features);
  head.finish();
  reader.finish();
  try {
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
  if (multiplier > 1) scaled.stem.width = widen(architecture.stem.width);
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
            if constexpr (requires { b.squeeze_excite; }) {
              if (b.squeeze_excite) b.squeeze_excite->squeezed = widen(b.squeeze_excite->squeezed);
            }
            if constexpr (requires { b.width; }) b.width = widen(b.width);
          },
          block);
      before = after;
      before_scaled = output_width(block, before_scaled);
    }
  }
  scaled.head.width = widen(architecture.head.width);
  validate(scaled);
  return scaled;
}

}  // namespace ridgewalk
