// A network of one attention, of as many scores as a test wants.
#pragma once

#include "space/graph.h"

namespace ridgewalk {

// A convolution for queries, one for keys and one for values, and their attention.
inline Graph attention_graph(int side, int heads, int kv_heads = 1) {
  const int dim = 8;
  const auto conv = [&](const char* name, int x, int width) {
    return Op{.kind = OpKind::kConv, .name = name, .inputs = {x}, .output = {width, side, side}};
  };
  const Shape scores{heads, side * side, side * side};
  return {
      .name = "attention",
      .ops = {{.kind = OpKind::kInput, .name = "input", .output = {3, side, side}},
              conv("query", 0, heads * dim),
              conv("key", 0, kv_heads * dim),
              conv("value", 0, kv_heads * dim),
              {.kind = OpKind::kAttentionScores,
               .name = "scores",
               .inputs = {1, 2},
               .output = scores,
               .heads = heads,
               .kv_heads = kv_heads},
              {.kind = OpKind::kSoftmax, .name = "softmax", .inputs = {4}, .output = scores},
              {.kind = OpKind::kAttentionMix,
               .name = "mix",
               .inputs = {5, 3},
               .output = {heads * dim, side, side},
               .heads = heads,
               .kv_heads = kv_heads},
              {.kind = OpKind::kPool, .name = "pool", .inputs = {6}, .output = {heads * dim, 1, 1}},
              {.kind = OpKind::kLinear,
               .name = "classifier",
               .inputs = {7},
               .output = {10, 1, 1},
               .bias = true}}};
}

}  // namespace ridgewalk
