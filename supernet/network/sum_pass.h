// Sums, means, activations and biases of a training step.
#pragma once

#include <torch/types.h>

#include "space/block.h"
#include "supernet/network/op_rows.h"

namespace ridgewalk {

// What readers of `in` see, [rows, channels].
template <class T>
void read_all(const OpRows<T>& in, T* to);
// Where the gradient of `in` is complete, adds it to its norm, if it has one.
template <class T>
void complete(const OpRows<T>& in);

// out = a + b.
template <class T>
void sum(const OpRows<T>& a, const OpRows<T>& b, const OpRows<T>& out);
// Of one of the inputs.
template <class T>
void sum_backward(const OpRows<T>& in, const OpRows<T>& out, const Contribution& contribution);

// The mean over the pixels of an image.
template <class T>
void pool(const OpRows<T>& in, const OpRows<T>& out);
template <class T>
void pool_backward(const OpRows<T>& in, const OpRows<T>& out, const Contribution& contribution);

// out = activation(in).
template <class T>
void activate(const OpRows<T>& in, Activation activation, const OpRows<T>& out);
template <class T>
void activate_backward(const OpRows<T>& in, Activation activation, const OpRows<T>& out,
                       const Contribution& contribution);

template <class T>
void add_bias(const torch::Tensor& bias, const OpRows<T>& out);
template <class T>
torch::Tensor bias_gradient(const OpRows<T>& out);

}  // namespace ridgewalk
