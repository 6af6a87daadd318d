// The arithmetic of batch norm on rows of channels: channels_last images are [N * H * W, C].
#pragma once

#include <bit>
#include <cstdint>

namespace ridgewalk {

// The upper 16 bits of an fp32.
struct Bf16 {
  uint16_t bits;
};
inline float to_float(float x) { return x; }
inline float to_float(Bf16 x) { return std::bit_cast<float>(uint32_t(x.bits) << 16); }

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

// Adds to `sum` and `product` the gradient g of y and g * (x - mean). If `y` is not null, g counts
// only where y > 0.
void add_gradient_moments(const float* g, const float* x, const float* y, const float* mean,
                          int64_t first, int64_t last, int64_t channels, double* sum,
                          double* product);
void add_gradient_moments(const Bf16* g, const Bf16* x, const Bf16* y, const float* mean,
                          int64_t first, int64_t last, int64_t channels, double* sum,
                          double* product);

// of_x = by_g * g + by_x * x + offset by channel, with g masked by `y` in the same way.
void mix_rows(const float* g, const float* x, const float* y, const float* by_g, const float* by_x,
              const float* offset, int64_t first, int64_t last, int64_t channels, float* of_x);
void mix_rows(const Bf16* g, const Bf16* x, const Bf16* y, const float* by_g, const float* by_x,
              const float* offset, int64_t first, int64_t last, int64_t channels, Bf16* of_x);

}  // namespace ridgewalk
