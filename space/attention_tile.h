// Which attention is computed in tiles, and in which.
#pragma once

#include <cstdint>
#include <vector>

#include "space/graph.h"

namespace ridgewalk {

// Scores that are held at once: 64 MiB in fp32. Fewer are computed as one product.
inline constexpr int64_t kAttentionTile = int64_t{1} << 24;

// Rows of scores, each of one query, that are computed together: of one image, or all of several.
struct AttentionTile {
  int64_t images = 1;
  int64_t rows = 1;
};
AttentionTile attention_tile(int64_t images, int64_t rows, int64_t keys,
                             int64_t most = kAttentionTile);

// Of the batch: whether its scores, `scores.output` for each image, take more than one tile.
bool is_tiled(const Op& scores, int64_t batch);

// The scores op and the softmax between a kAttentionMix and its query and key; -1 for both where
// the ops are others, or read elsewhere, too. `uses` are use_counts().
struct AttentionOps {
  int scores = -1, softmax = -1;
};
AttentionOps attention_ops(const Graph& graph, int mix, const std::vector<int>& uses);

}  // namespace ridgewalk
