#include "space/features.h"

#include <string_view>

#include "space/error.h"

namespace ridgewalk {
namespace {

constexpr std::string_view kBlocks = "blocks.";

// "blocks.2.1" of "blocks.2.1.pw_exp.conv", "stem" of what is before the blocks; empty for the
// head.
std::string block_of(const Op& op) {
  if (op.name == "conv_stem" || op.name == "bn1" || op.name == "act1") return "stem";
  if (!op.name.starts_with(kBlocks)) return "";
  const size_t stage_end = op.name.find('.', kBlocks.size());
  return op.name.substr(0, op.name.find('.', stage_end + 1));
}

// Of the image, for each op.
std::vector<int> strides(const Graph& graph) {
  std::vector<int> result;
  for (const Op& op : graph.ops) {
    const int before = op.inputs.empty() ? 1 : result[size_t(op.inputs[0])];
    const bool enlarges = op.kind == OpKind::kUpsample;
    result.push_back(enlarges ? before / op.stride : before * op.stride);
  }
  return result;
}

}  // namespace

std::vector<FeatureMap> feature_maps(const Graph& graph) {
  constexpr int kFirstStride = 4;
  const std::vector<int> stride = strides(graph);
  std::vector<FeatureMap> maps;
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    const std::string block = block_of(graph.ops[i]);
    const bool ends_block = i + 1 == graph.ops.size() || block_of(graph.ops[i + 1]) != block;
    if (block.empty() || !ends_block || stride[i] < kFirstStride) continue;
    if (maps.empty() || maps.back().stride != stride[i]) maps.emplace_back();
    maps.back() = {"features_" + std::to_string(stride[i]), int(i), stride[i], graph.ops[i].output};
  }
  if (maps.empty()) {
    throw Error("'" + graph.name + "' has no feature map at a stride of 4 or more");
  }
  return maps;
}

}  // namespace ridgewalk
