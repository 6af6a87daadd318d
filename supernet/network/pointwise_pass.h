// 1x1 convolutions and linear layers of a training step.
#pragma once

#include <torch/types.h>

#include "supernet/network/op_rows.h"

namespace ridgewalk {

// in [rows, K], weight [N, K] (with any further sizes 1; rows may be strided): fills out [rows, N],
// and adds it to its norm.
template <class T>
void pointwise(const OpRows<T>& in, const torch::Tensor& weight, const OpRows<T>& out);

// Leaves the gradient of `in` where `contribution` says, and returns that of the weight. `out` has
// a complete gradient.
template <class T>
torch::Tensor pointwise_backward(const OpRows<T>& in, const torch::Tensor& weight,
                                 const OpRows<T>& out, const Contribution& contribution);

}  // namespace ridgewalk
