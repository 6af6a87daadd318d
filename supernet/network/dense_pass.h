// Dense k x k convolutions of a training step.
#pragma once

#include <torch/types.h>

#include "supernet/network/op_rows.h"

namespace ridgewalk {

// As pointwise() and pointwise_backward(), for a weight [N, K, kernel, kernel] with padding
// (kernel - 1) / 2: matrix products with the windows of the image, a few at a time.
template <class T>
void dense(const OpRows<T>& in, const torch::Tensor& weight, int64_t stride, const OpRows<T>& out);
template <class T>
torch::Tensor dense_backward(const OpRows<T>& in, const torch::Tensor& weight, int64_t stride,
                             const OpRows<T>& out, const Contribution& contribution);

}  // namespace ridgewalk
