// Depthwise convolution in training.
#pragma once

#include <torch/torch.h>

namespace ridgewalk {

// x [N, C, H, W] with weight [C, 1, k, k], k odd, padded by (k - 1) / 2: [N, C, ceil(H / stride),
// ceil(W / stride)]. As torch::conv2d; but on a CPU in bf16 the gradient of a weight larger than
// 3x3 is put together from those of 3x3 windows of it, because oneDNN has a depthwise kernel for
// these alone: for 5x5 it falls back to one of grouped convolutions, 100 times as slow.
torch::Tensor depthwise_conv(const torch::Tensor& x, const torch::Tensor& weight, int64_t stride);

}  // namespace ridgewalk
