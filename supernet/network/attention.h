// Multi-query and multi-head attention, in tiles where its scores are many.
#pragma once

#include <cstdint>

#include <torch/types.h>

#include "space/attention_tile.h"

namespace ridgewalk {

// [N, k c, H, W] -> [N k, H W c / d, d]: of k heads each by itself, as if of an image of its own.
// Of one head it is a view.
torch::Tensor rows_of_heads(const torch::Tensor& x, int64_t heads, int64_t d);
// [N k, H W g, e] -> [N, k g e, H, W], the inverse.
torch::Tensor image_of_heads(const torch::Tensor& rows, const Shape& output, int64_t heads);

// query [N, h d, H, W], key [N, k d, ...] -> [N, h H W, keys], with k = kv_heads. Rows are those of
// one key head after the other; of each the positions, at each position the queries.
torch::Tensor attention_scores(const torch::Tensor& query, const torch::Tensor& key, int kv_heads);
// weights [N, h H W, keys], value [N, k e, ...] -> [N, h e, H, W].
torch::Tensor attention_mix(const torch::Tensor& weights, const torch::Tensor& value,
                            const Shape& output, int kv_heads);

// attention_mix(softmax(attention_scores(query, key)), value). Of more scores than `tile`, only
// tiles are ever in memory; training computes them again for the gradients.
torch::Tensor attention(const torch::Tensor& query, const torch::Tensor& key,
                        const torch::Tensor& value, const Shape& output, int kv_heads,
                        int64_t tile = kAttentionTile);

}  // namespace ridgewalk
