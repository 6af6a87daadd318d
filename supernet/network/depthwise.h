// Depthwise convolution in training.
#pragma once

#include <torch/types.h>

namespace ridgewalk {

// x [N, C, H, W] with weight [C, 1, k, k], k odd, padded by (k - 1) / 2: [N, C, ceil(H / stride),
// ceil(W / stride)]. Equals torch::conv2d; but in bf16 on a CPU with AVX-512 the gradient of a
// weight larger than 3x3 is assembled from the gradients of its 3x3 windows, because oneDNN's
// depthwise kernel handles only 3x3: for 5x5 it falls back to a kernel for grouped convolutions
// that is 100 times slower. Where stride > 1, oneDNN 3 does so for the gradient of the input too,
// which is computed in fp32 there. On other CPUs oneDNN has no bf16, and the gradient of every
// weight is computed in fp32.
torch::Tensor depthwise_conv(const torch::Tensor& x, const torch::Tensor& weight, int64_t stride);

}  // namespace ridgewalk
