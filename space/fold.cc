#include "space/fold.h"

namespace ridgewalk {
namespace {

bool is_convolution(OpKind kind) { return kind == OpKind::kConv || kind == OpKind::kDepthwise; }
bool is_foldable(OpKind kind) { return kind == OpKind::kNorm || kind == OpKind::kLayerScale; }

}  // namespace

FoldedGraph fold_norms(const Graph& graph) {
  const std::vector<int> uses = use_counts(graph);
  FoldedGraph folded{.graph = {.name = graph.name, .norm = graph.norm, .ops = {}}, .origins = {}};
  std::vector<int> place(graph.ops.size());  // in the folded graph
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    Op op = graph.ops[i];
    if (is_foldable(op.kind) && uses[op.inputs[0]] == 1) {
      const int before = place[op.inputs[0]];
      if (is_convolution(folded.graph.ops[before].kind)) {
        folded.graph.ops[before].bias = true;
        folded.graph.ops[before].shared_name.clear();  // its norm is its own
        folded.origins[before].push_back(int(i));
        place[i] = before;
        continue;
      }
    }
    for (int& input : op.inputs) input = place[input];
    place[i] = int(folded.graph.ops.size());
    folded.graph.ops.push_back(std::move(op));
    folded.origins.push_back({int(i)});
  }
  for (const Output& output : graph.outputs) {
    folded.graph.outputs.push_back({output.name, place[output.op]});
  }
  return folded;
}

}  // namespace ridgewalk
