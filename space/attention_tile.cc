#include "space/attention_tile.h"

#include <algorithm>

namespace ridgewalk {

AttentionTile attention_tile(int64_t images, int64_t rows, int64_t keys, int64_t most) {
  AttentionTile tile;
  tile.rows = std::clamp(most / keys, int64_t{1}, rows);
  tile.images = std::clamp(most / (tile.rows * keys), int64_t{1}, images);
  return tile;
}

bool is_tiled(const Op& scores, int64_t batch) {
  return double(batch) * double(scores.output.elements()) > double(kAttentionTile);
}

AttentionOps attention_ops(const Graph& graph, int mix, const std::vector<int>& uses) {
  const auto is_own = [&](int op, OpKind kind) {
    return graph.ops[size_t(op)].kind == kind && uses[size_t(op)] == 1;
  };
  const int softmax = graph.ops[size_t(mix)].inputs[0];
  if (!is_own(softmax, OpKind::kSoftmax)) return {};
  const int scores = graph.ops[size_t(softmax)].inputs[0];
  if (!is_own(scores, OpKind::kAttentionScores)) return {};
  return {scores, softmax};
}

}  // namespace ridgewalk
