// Attention whose one key head serves all query heads, in tiles where its scores are many.
#pragma once

#include <cstdint>
#include <vector>

#include <torch/types.h>

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

// query [N, h d, H, W], key [N, d, ...] -> [N, H W h, keys].
torch::Tensor attention_scores(const torch::Tensor& query, const torch::Tensor& key);
// weights [N, H W h, keys], value [N, e, ...] -> [N, h e, H, W].
torch::Tensor attention_mix(const torch::Tensor& weights, const torch::Tensor& value,
                            const Shape& output);

// attention_mix(softmax(attention_scores(query, key)), value). Of more scores than `tile`, only
// tiles are ever in memory; training computes them again for the gradients.
torch::Tensor attention(const torch::Tensor& query, const torch::Tensor& key,
                        const torch::Tensor& value, const Shape& output,
                        int64_t tile = kAttentionTile);

}  // namespace ridgewalk
