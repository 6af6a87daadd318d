// A convolution of integers in plain loops: what faster ones are compared with.
#pragma once

#include <cstdint>

#include <torch/types.h>

#include "space/graph.h"

namespace ridgewalk {

// How a convolution or linear layer, seen as a 1x1 convolution, moves over its input.
struct Window {
  int64_t stride = 1, padding = 0, groups = 1;
};
Window window_of(const Op& op);

// x int32 [N, C, H, W], weight int8 [O, C / groups, k, k], bias int32 [O] or undefined -> int32
// [N, O, ...]. Throws std::overflow_error where a sum exceeds int32.
torch::Tensor plain_convolution(const torch::Tensor& x, const torch::Tensor& weight,
                                const torch::Tensor& bias, const Window& window,
                                const Shape& output);

}  // namespace ridgewalk
