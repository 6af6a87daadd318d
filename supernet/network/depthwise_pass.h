// Depthwise convolutions of a training step.
#pragma once

#include <torch/types.h>

#include "supernet/network/op_rows.h"

namespace ridgewalk {

// As pointwise() and pointwise_backward(), for a weight [C, 1, kernel, kernel] with padding
// (kernel - 1) / 2.
template <class T>
void depthwise(const OpRows<T>& in, const torch::Tensor& weight, int64_t stride,
               const OpRows<T>& out);
template <class T>
torch::Tensor depthwise_backward(const OpRows<T>& in, const torch::Tensor& weight, int64_t stride,
                                 const OpRows<T>& out, const Contribution& contribution);

}  // namespace ridgewalk
