// The arithmetic of batch norm on rows of channels: channels_last images are [N * H * W, C].
#pragma once

#include <cstdint>

#include "supernet/kernels/bf16.h"

namespace ridgewalk {

// Adds to `sum` and `square`, [C] each, (x - shift) and its square over the rows [first, last).
void add_moments(const float* x, const float* shift, int64_t first, int64_t last, int64_t channels,
                 double* sum, double* square);
void add_moments(const Bf16* x, const float* shift, int64_t first, int64_t last, int64_t channels,
                 double* sum, double* square);

// y = scale * x + offset by channel, followed by ReLU if `relu`. NaN stays NaN.
void scale_rows(const float* x, const float* scale, const float* offset, bool relu, int64_t first,
                int64_t last, int64_t channels, float* y);
void scale_rows(const Bf16* x, const float* scale, const float* offset, bool relu, int64_t first,
                int64_t last, int64_t channels, Bf16* y);

// Adds to `sum` and `product` the gradient g of y and g * (x - mean). If `scale` is not null, g
// counts only where scale * x + offset > 0.
void add_gradient_moments(const float* g, const float* x, const float* scale, const float* offset,
                          const float* mean, int64_t first, int64_t last, int64_t channels,
                          double* sum, double* product);
void add_gradient_moments(const Bf16* g, const Bf16* x, const float* scale, const float* offset,
                          const float* mean, int64_t first, int64_t last, int64_t channels,
                          double* sum, double* product);

// What mix_rows() multiplies, by channel: by_g * g + by_x * x + constant, where g counts as above.
struct Mixture {
  const float *by_g, *by_x, *constant, *scale, *offset;
};
void mix_rows(const float* g, const float* x, const Mixture& mixture, int64_t first, int64_t last,
              int64_t channels, float* of_x);
void mix_rows(const Bf16* g, const Bf16* x, const Mixture& mixture, int64_t first, int64_t last,
              int64_t channels, Bf16* of_x);

}  // namespace ridgewalk
