#include "supernet/kernels/norm_kernel.h"

#include <algorithm>

#include "supernet/kernels/each_cpu.h"

namespace ridgewalk {
namespace {

constexpr int64_t kTile = 64;  // channels whose sums stay in registers or in the L1 cache
constexpr int64_t kRun = 64;   // rows that are added up in fp32

// For every row and every tile of `width` channels, add(element, channel, width, sum, other) adds
// to the tile's sums, which are in turn added to `sums` and `others`.
template <class Add>
RIDGEWALK_INLINE void add_pairs(int64_t first, int64_t last, int64_t channels, double* sums,
                                double* others, Add add) {
  for (int64_t row = first; row < last; row += kRun) {
    const int64_t end = std::min(row + kRun, last);
    for (int64_t tile = 0; tile < channels; tile += kTile) {
      const int64_t width = std::min(kTile, channels - tile);
      float sum[kTile] = {}, other[kTile] = {};
      for (int64_t r = row; r < end; ++r) {
        add(r * channels + tile, tile, width, sum, other);
      }
      for (int64_t c = 0; c < width; ++c) {
        sums[tile + c] += sum[c];
        others[tile + c] += other[c];
      }
    }
  }
}

template <class T>
RIDGEWALK_INLINE void moments(const T* __restrict x, const float* __restrict shift, int64_t first,
                              int64_t last, int64_t channels, double* sum, double* square) {
  add_pairs(first, last, channels, sum, square,
            [=](int64_t at, int64_t tile, int64_t width, float* __restrict total,
                float* __restrict squares) {
              for (int64_t c = 0; c < width; ++c) {
                const float v = to_float(x[at + c]) - shift[tile + c];
                total[c] += v;
                squares[c] += v * v;
              }
            });
}

template <bool kRelu, class T>
RIDGEWALK_INLINE void scaled(const T* __restrict x, const float* __restrict scale,
                             const float* __restrict offset, int64_t first, int64_t last,
                             int64_t channels, T* __restrict y) {
  for (int64_t r = first; r < last; ++r) {
    const T* from = x + r * channels;
    T* to = y + r * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float v = scale[c] * to_float(from[c]) + offset[c];
      store(kRelu && v < 0 ? 0.0F : v, to[c]);
    }
  }
}

template <bool kMasked, class T>
RIDGEWALK_INLINE void gradient_moments(const T* __restrict g, const T* __restrict x,
                                       const float* __restrict scale,
                                       const float* __restrict offset, const float* __restrict mean,
                                       int64_t first, int64_t last, int64_t channels, double* sum,
                                       double* product) {
  add_pairs(first, last, channels, sum, product,
            [=](int64_t at, int64_t tile, int64_t width, float* __restrict total,
                float* __restrict products) {
              for (int64_t c = 0; c < width; ++c) {
                float v = to_float(g[at + c]);
                const float from = to_float(x[at + c]);
                if constexpr (kMasked) {
                  v = scale[tile + c] * from + offset[tile + c] <= 0 ? 0.0F : v;
                }
                total[c] += v;
                products[c] += v * (from - mean[tile + c]);
              }
            });
}

template <bool kMasked, class T>
RIDGEWALK_INLINE void mixed(const T* __restrict g, const T* __restrict x,
                            const float* __restrict by_g, const float* __restrict by_x,
                            const float* __restrict constant, const float* __restrict scale,
                            const float* __restrict offset, int64_t first, int64_t last,
                            int64_t channels, T* __restrict of_x) {
  for (int64_t r = first; r < last; ++r) {
    const int64_t start = r * channels;
    for (int64_t c = 0; c < channels; ++c) {
      float v = to_float(g[start + c]);
      const float from = to_float(x[start + c]);
      if constexpr (kMasked) v = scale[c] * from + offset[c] <= 0 ? 0.0F : v;
      store(by_g[c] * v + by_x[c] * from + constant[c], of_x[start + c]);
    }
  }
}

}  // namespace

#define RIDGEWALK_NORM_KERNELS(T)                                                                  \
  RIDGEWALK_EACH_CPU void add_moments(const T* x, const float* shift, int64_t first, int64_t last, \
                                      int64_t channels, double* sum, double* square) {             \
    moments(x, shift, first, last, channels, sum, square);                                         \
  }                                                                                                \
  RIDGEWALK_EACH_CPU void scale_rows(const T* x, const float* scale, const float* offset,          \
                                     bool relu, int64_t first, int64_t last, int64_t channels,     \
                                     T* y) {                                                       \
    relu ? scaled<true>(x, scale, offset, first, last, channels, y)                                \
         : scaled<false>(x, scale, offset, first, last, channels, y);                              \
  }                                                                                                \
  RIDGEWALK_EACH_CPU void add_gradient_moments(                                                    \
      const T* g, const T* x, const float* scale, const float* offset, const float* mean,          \
      int64_t first, int64_t last, int64_t channels, double* sum, double* product) {               \
    if (scale == nullptr) {                                                                        \
      gradient_moments<false>(g, x, scale, offset, mean, first, last, channels, sum, product);     \
    } else {                                                                                       \
      gradient_moments<true>(g, x, scale, offset, mean, first, last, channels, sum, product);      \
    }                                                                                              \
  }                                                                                                \
  RIDGEWALK_EACH_CPU void mix_rows(const T* g, const T* x, const Mixture& mixture, int64_t first,  \
                                   int64_t last, int64_t channels, T* of_x) {                      \
    const auto [by_g, by_x, constant, scale, offset] = mixture;                                    \
    if (scale == nullptr) {                                                                        \
      mixed<false>(g, x, by_g, by_x, constant, scale, offset, first, last, channels, of_x);        \
    } else {                                                                                       \
      mixed<true>(g, x, by_g, by_x, constant, scale, offset, first, last, channels, of_x);         \
    }                                                                                              \
  }

RIDGEWALK_NORM_KERNELS(float)
RIDGEWALK_NORM_KERNELS(Bf16)

}  // namespace ridgewalk
