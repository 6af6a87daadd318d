#include "space/block_yaml.h"

#include <algorithm>
#include <array>
#include <utility>

namespace ridgewalk {

void fields(auto& v, Of<Conv> auto& block) {
  v.optional("kernel", block.kernel);
  v.optional("stride", block.stride);
  v.required("width", block.width);
  v.omittable("groups", block.groups, 1);
}

void fields(auto& v, Of<FusedIb> auto& block) {
  v.optional("kernel", block.kernel);
  v.optional("stride", block.stride);
  v.required("expanded", block.expanded);
  v.required("width", block.width);
  v.omittable("groups", block.groups, 1);
}

void fields(auto& v, Of<Uib> auto& block) {
  v.required("kernel1", block.kernel1);
  v.required("kernel2", block.kernel2);
  v.optional("stride", block.stride);
  v.required("expanded", block.expanded);
  v.required("width", block.width);
  v.omittable("groups", block.groups, 1);
}

void fields(auto& v, Of<DepthwiseSeparable> auto& block) {
  v.optional("kernel", block.kernel);
  v.optional("stride", block.stride);
  v.required("width", block.width);
  v.optional("linear", block.linear);
  v.optional("squeeze_excite", block.squeeze_excite);
  v.omittable("groups", block.groups, 1);
}

void fields(auto& v, Of<InvertedResidual> auto& block) {
  v.optional("kernel", block.kernel);
  v.optional("stride", block.stride);
  v.required("expanded", block.expanded);
  v.required("width", block.width);
  v.optional("squeeze_excite", block.squeeze_excite);
  v.omittable("groups", block.groups, 1);
}

void fields(auto& v, Of<SqueezeExcite> auto& gate) {
  v.optional("ratio", gate.ratio);
  v.optional("divisor", gate.divisor);
  v.optional("activation", gate.activation);
  v.optional("gate", gate.function);
}

namespace {

// In the order of Block's alternatives.
const std::vector<std::string> kBlockNames = {
    "conv", "fused_ib", "uib", "mqa", "depthwise_separable", "inverted_residual", "squeeze_excite"};

// A gate has an activation of its own, whatever the network's is.
template <class B>
constexpr bool kFollowsNetwork =
    requires(B block) { block.activation; } && !std::is_same_v<B, SqueezeExcite>;

template <size_t... alternative>
Block block_of_kind(size_t kind, std::index_sequence<alternative...>) {
  Block block;
  ((alternative == kind ? void(block.emplace<alternative>()) : void()), ...);
  return block;
}

Block block_named(const std::string& name) {
  const auto found = std::find(kBlockNames.begin(), kBlockNames.end(), name);
  if (found == kBlockNames.end()) fail_unknown_name("block", name, kBlockNames);
  return block_of_kind(size_t(found - kBlockNames.begin()),
                       std::make_index_sequence<std::variant_size_v<Block>>());
}

// What is left of a block when its kind is known.
void fields_of(auto& v, auto& block, Activation network_activation) {
  fields(v, block);
  if constexpr (kFollowsNetwork<std::remove_cvref_t<decltype(block)>>) {
    v.omittable("activation", block.activation, network_activation);
  }
}

}  // namespace

void write_block(YAML::Emitter& out, const Block& block, Activation network_activation) {
  out << YAML::Flow << YAML::BeginMap;
  FieldWriter writer(out);
  writer.required("block", kBlockNames[block.index()]);
  std::visit([&](const auto& b) { fields_of(writer, b, network_activation); }, block);
  out << YAML::EndMap;
}

Block read_block(const YamlSource& source, Activation network_activation) {
  FieldReader reader(source);
  const auto kind = reader.required<std::string>("block");
  Block block = at_line(reader.child("block"), [&] { return block_named(kind); });
  std::visit(
      [&]<class B>(B& b) {
        if constexpr (kFollowsNetwork<B>) b.activation = network_activation;
        fields_of(reader, b, network_activation);
      },
      block);
  reader.finish();
  const std::string wrong = violation(block);
  if (!wrong.empty()) source.fail(wrong);
  return block;
}

}  // namespace ridgewalk
