// Activations and their derivatives.
#pragma once

#include <cstdint>

#include "space/block.h"
#include "supernet/kernels/bf16.h"

namespace ridgewalk {

// y = activation(x). NaN stays NaN.
void activate_row(Activation activation, const float* x, int64_t count, float* y);
void activate_row(Activation activation, const Bf16* x, int64_t count, Bf16* y);

// of_x = g times the derivative of the activation at x. At a kink it is LibTorch's: that of ReLU6
// is 1 at 0 and 6.
void activation_gradient_row(Activation activation, const float* g, const float* x, int64_t count,
                             float* of_x);
void activation_gradient_row(Activation activation, const Bf16* g, const Bf16* x, int64_t count,
                             Bf16* of_x);

}  // namespace ridgewalk
