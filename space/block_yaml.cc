#include "space/block_yaml.h"

namespace ridgewalk {
namespace {

class BlockWriter {
 public:
  BlockWriter(YAML::Emitter& out, Activation network_activation)
      : out_(out), network_activation_(network_activation) {}

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
  void operator()(const DepthwiseSeparable& b) {
    begin("depthwise_separable");
    field("kernel", b.kernel);
    field("stride", b.stride);
    field("width", b.width);
    field("linear", b.linear);
    gate(b.squeeze_excite);
    end(b.activation);
  }
  void operator()(const InvertedResidual& b) {
    begin("inverted_residual");
    field("kernel", b.kernel);
    field("stride", b.stride);
    field("expanded", b.expanded);
    field("width", b.width);
    gate(b.squeeze_excite);
    end(b.activation);
  }
  void operator()(const SqueezeExcite& b) {
    begin("squeeze_excite");
    gate_fields(b);
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
    if (activation != network_activation_) field("activation", std::string(to_string(activation)));
    out_ << YAML::EndMap;
  }
  void gate_fields(const SqueezeExcite& gate) {
    field("ratio", number_text(gate.ratio));
    field("divisor", gate.divisor);
    field("activation", std::string(to_string(gate.activation)));
    field("gate", std::string(gate.hard_sigmoid ? "hard_sigmoid" : "sigmoid"));
  }
  void gate(const std::optional<SqueezeExcite>& gate) {
    if (!gate) return;
    out_ << YAML::Key << "squeeze_excite" << YAML::Value << YAML::Flow << YAML::BeginMap;
    gate_fields(*gate);
    out_ << YAML::EndMap;
  }

  YAML::Emitter& out_;
  Activation network_activation_;
};

SqueezeExcite read_gate(FieldReader& reader) {
  SqueezeExcite gate;
  reader.optional("ratio", gate.ratio);
  reader.optional("divisor", gate.divisor);
  read_activation(reader, gate.activation);
  std::string name = "hard_sigmoid";
  reader.optional("gate", name);
  if (name != "hard_sigmoid" && name != "sigmoid") {
    reader.child("gate").fail("'gate' must be hard_sigmoid or sigmoid");
  }
  gate.hard_sigmoid = name == "hard_sigmoid";
  return gate;
}

// What most blocks have; absent keys leave the defaults.
template <class B>
B read_fields(FieldReader& reader, Activation activation) {
  B b{};
  if constexpr (requires { b.activation; }) b.activation = activation;
  if constexpr (requires { b.kernel; }) reader.optional("kernel", b.kernel);
  if constexpr (requires { b.kernel1; }) {
    b.kernel1 = reader.required<int>("kernel1");
    b.kernel2 = reader.required<int>("kernel2");
  }
  if constexpr (requires { b.stride; }) reader.optional("stride", b.stride);
  if constexpr (requires { b.expanded; }) b.expanded = reader.required<int>("expanded");
  if constexpr (requires { b.width; }) b.width = reader.required<int>("width");
  if constexpr (requires { b.linear; }) reader.optional("linear", b.linear);
  if constexpr (requires { b.squeeze_excite; }) {
    if (reader.has("squeeze_excite")) {
      FieldReader gate(reader.child("squeeze_excite"));
      b.squeeze_excite = read_gate(gate);
      gate.finish();
    }
  }
  if constexpr (requires { b.activation; }) read_activation(reader, b.activation);
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

}  // namespace

void write_block(YAML::Emitter& out, const Block& block, Activation network_activation) {
  std::visit(BlockWriter(out, network_activation), block);
}

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

Block read_block(const YamlSource& source, Activation activation) {
  FieldReader reader(source);
  const auto kind = reader.required<std::string>("block");
  Block block;
  if (kind == "conv") {
    block = read_fields<Conv>(reader, activation);
  } else if (kind == "fused_ib") {
    block = read_fields<FusedIb>(reader, activation);
  } else if (kind == "uib") {
    block = read_fields<Uib>(reader, activation);
  } else if (kind == "mqa") {
    block = read_mqa(reader);
  } else if (kind == "depthwise_separable") {
    block = read_fields<DepthwiseSeparable>(reader, activation);
  } else if (kind == "inverted_residual") {
    block = read_fields<InvertedResidual>(reader, activation);
  } else if (kind == "squeeze_excite") {
    block = read_gate(reader);
  } else {
    source.fail("no block is named '" + kind +
                "'; there are conv, fused_ib, uib, mqa, depthwise_separable, inverted_residual, "
                "squeeze_excite");
  }
  reader.finish();
  const std::string wrong = violation(block);
  if (!wrong.empty()) source.fail(wrong);
  return block;
}

}  // namespace ridgewalk
