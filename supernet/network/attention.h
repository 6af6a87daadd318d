// Attention whose one key head serves all query heads, in tiles where its scores are many.
#pragma once

#include <cstdint>

#include <torch/types.h>

#include "space/attention_tile.h"

namespace ridgewalk {

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
