#include "supernet/network/norm_kernel.h"

#include <algorithm>

// Compiled for the vectors of several CPUs; the program picks the widest that its machine has.
// Clones are named by level, because a name like skylake-avx512 matches only Intel's CPUs.
#if defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 12 && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define RIDGEWALK_EACH_CPU \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define RIDGEWALK_EACH_CPU
#endif
#define RIDGEWALK_INLINE inline __attribute__((always_inline))

namespace ridgewalk {
namespace {

constexpr int64_t kTile = 64;  // channels whose sums stay in registers or in the L1 cache
constexpr int64_t kRun = 64;   // rows that are added up in fp32

RIDGEWALK_INLINE void store(float x, float& to) { to = x; }
// Rounds to nearest, ties to even. Infinities and NaN, which rounding up would change, are
// truncated.
RIDGEWALK_INLINE void store(float x, Bf16& to) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const uint32_t up = (bits & 0x7f800000) == 0x7f800000 ? 0 : 0x7fff + ((bits >> 16) & 1);
  to.bits = uint16_t((bits + up) >> 16);
}

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
                                       const T* __restrict y, const float* __restrict mean,
                                       int64_t first, int64_t last, int64_t channels, double* sum,
                                       double* product) {
  add_pairs(first, last, channels, sum, product,
            [=](int64_t at, int64_t tile, int64_t width, float* __restrict total,
                float* __restrict products) {
              for (int64_t c = 0; c < width; ++c) {
                float v = to_float(g[at + c]);
                if constexpr (kMasked) v = to_float(y[at + c]) <= 0 ? 0.0F : v;
                total[c] += v;
                products[c] += v * (to_float(x[at + c]) - mean[tile + c]);
              }
            });
}

template <bool kMasked, class T>
RIDGEWALK_INLINE void mixed(const T* __restrict g, const T* __restrict x, const T* __restrict y,
                            const float* __restrict by_g, const float* __restrict by_x,
                            const float* __restrict offset, int64_t first, int64_t last,
                            int64_t channels, T* __restrict of_x) {
  for (int64_t r = first; r < last; ++r) {
    const int64_t start = r * channels;
    for (int64_t c = 0; c < channels; ++c) {
      float v = to_float(g[start + c]);
      if constexpr (kMasked) v = to_float(y[start + c]) <= 0 ? 0.0F : v;
      store(by_g[c] * v + by_x[c] * to_float(x[start + c]) + offset[c], of_x[start + c]);
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
  RIDGEWALK_EACH_CPU void add_gradient_moments(const T* g, const T* x, const T* y,                 \
                                               const float* mean, int64_t first, int64_t last,     \
                                               int64_t channels, double* sum, double* product) {   \
    if (y == nullptr) {                                                                            \
      gradient_moments<false>(g, x, y, mean, first, last, channels, sum, product);                 \
    } else {                                                                                       \
      gradient_moments<true>(g, x, y, mean, first, last, channels, sum, product);                  \
    }                                                                                              \
  }                                                                                                \
  RIDGEWALK_EACH_CPU void mix_rows(const T* g, const T* x, const T* y, const float* by_g,          \
                                   const float* by_x, const float* offset, int64_t first,          \
                                   int64_t last, int64_t channels, T* of_x) {                      \
    if (y == nullptr) {                                                                            \
      mixed<false>(g, x, y, by_g, by_x, offset, first, last, channels, of_x);                      \
    } else {                                                                                       \
      mixed<true>(g, x, y, by_g, by_x, offset, first, last, channels, of_x);                       \
    }                                                                                              \
  }

RIDGEWALK_NORM_KERNELS(float)
RIDGEWALK_NORM_KERNELS(Bf16)

}  // namespace ridgewalk
