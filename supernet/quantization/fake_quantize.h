// Rounding to an integer type, simulated in fp32 under autograd.
#pragma once

#include <torch/types.h>

namespace ridgewalk {

// The integers that a value may take, less the zero point: u8 around 0 is [0, 255], around 128
// [-128, 127]; weights are [-127, 127].
struct IntegerRange {
  int lowest = 0;
  int highest = 255;
  bool operator==(const IntegerRange&) const = default;
};

// step * clamp(round half to even(x / step), range). `step` is a scalar, or [C] for the channels of
// dimension 0 of x. Gradients are those of learned step size quantisation (LSQ, arXiv:1902.08153,
// equations 2 and 3): the rounding passes that of x straight through inside the range and stops it
// outside, and
//   d/dstep = sum of round(x / step) - x / step inside, lowest or highest outside,
// times `step_gradient`. What rounds to an end of the range is inside: a channel's largest weight,
// which observed scales put there, would have no gradient and never change.
torch::Tensor fake_quantize(const torch::Tensor& x, const torch::Tensor& step, IntegerRange range,
                            double step_gradient = 1);

// LSQ's scale of a step's gradient, 1 / sqrt(n highest), that makes it as large beside the step as
// those of weights are beside the weights (section 2.2). `n`: weights, or features of one image,
// that share the step.
double lsq_gradient_scale(int64_t n, IntegerRange range);

}  // namespace ridgewalk
