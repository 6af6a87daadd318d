#include "supernet/kernels/norm_kernel.h"

#include <algorithm>

#include "supernet/kernels/vectors.h"

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

template <class V, bool kRelu, class T>
RIDGEWALK_INLINE void scaled(const T* __restrict x, const float* __restrict scale,
                             const float* __restrict offset, int64_t first, int64_t last,
                             int64_t channels, T* __restrict y) {
  for (int64_t r = first; r < last; ++r) {
    const T* from = x + r * channels;
    T* to = y + r * channels;
    int64_t c = 0;
    for (; c + V::kLanes <= channels; c += V::kLanes) {
      typename V::Float value, factor, term;
      load<V>(from + c, value);
      load<V>(scale + c, factor);
      load<V>(offset + c, term);
      value = factor * value + term;
      if constexpr (kRelu) keep_positive<V>(value);
      store<V>(value, to + c);
    }
    for (; c < channels; ++c) {
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

template <class V, bool kMasked, class T>
RIDGEWALK_INLINE void mixed(const T* __restrict g, const T* __restrict x, const Mixture& mixture,
                            int64_t first, int64_t last, int64_t channels, T* __restrict of_x) {
  const auto [by_g, by_x, constant, scale, offset] = mixture;
  for (int64_t r = first; r < last; ++r) {
    const int64_t start = r * channels;
    int64_t c = 0;
    for (; c + V::kLanes <= channels; c += V::kLanes) {
      typename V::Float v, from, of_g, of_from, term;
      load<V>(g + start + c, v);
      load<V>(x + start + c, from);
      load<V>(by_g + c, of_g);
      load<V>(by_x + c, of_from);
      load<V>(constant + c, term);
      if constexpr (kMasked) {
        typename V::Float factor, shift;
        load<V>(scale + c, factor);
        load<V>(offset + c, shift);
        keep_where_positive<V>(factor * from + shift, v);
      }
      store<V>(of_g * v + of_from * from + term, of_x + start + c);
    }
    for (; c < channels; ++c) {
      float v = to_float(g[start + c]);
      const float from = to_float(x[start + c]);
      if constexpr (kMasked) v = scale[c] * from + offset[c] <= 0 ? 0.0F : v;
      store(by_g[c] * v + by_x[c] * from + constant[c], of_x[start + c]);
    }
  }
}

#define RIDGEWALK_ROWS(ATTRIBUTE, NAME, VECTORS)                                                 \
  template <class T>                                                                             \
  ATTRIBUTE void scale_##NAME(const T* x, const float* scale, const float* offset, bool relu,    \
                              int64_t first, int64_t last, int64_t channels, T* y) {             \
    relu ? scaled<VECTORS, true>(x, scale, offset, first, last, channels, y)                     \
         : scaled<VECTORS, false>(x, scale, offset, first, last, channels, y);                   \
  }                                                                                              \
  template <class T>                                                                             \
  ATTRIBUTE void mix_##NAME(const T* g, const T* x, const Mixture& mixture, int64_t first,       \
                            int64_t last, int64_t channels, T* of_x) {                           \
    mixture.scale == nullptr ? mixed<VECTORS, false>(g, x, mixture, first, last, channels, of_x) \
                             : mixed<VECTORS, true>(g, x, mixture, first, last, channels, of_x); \
  }
RIDGEWALK_ROWS(, base, Vectors<16>)
#ifdef RIDGEWALK_X86
RIDGEWALK_ROWS(RIDGEWALK_AVX2, avx2, Vectors<32>)
RIDGEWALK_ROWS(RIDGEWALK_AVX512, avx512, Vectors<64>)
RIDGEWALK_ROWS(RIDGEWALK_AVX512, avx512_bf16, Bf16Vectors)
#endif

}  // namespace

#define RIDGEWALK_NORM_KERNELS(T)                                                                  \
  RIDGEWALK_EACH_CPU void add_moments(const T* x, const float* shift, int64_t first, int64_t last, \
                                      int64_t channels, double* sum, double* square) {             \
    moments(x, shift, first, last, channels, sum, square);                                         \
  }                                                                                                \
  void scale_rows(const T* x, const float* scale, const float* offset, bool relu, int64_t first,   \
                  int64_t last, int64_t channels, T* y) {                                          \
    RIDGEWALK_FOR_THIS_CPU(scale, x, scale, offset, relu, first, last, channels, y);               \
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
  void mix_rows(const T* g, const T* x, const Mixture& mixture, int64_t first, int64_t last,       \
                int64_t channels, T* of_x) {                                                       \
    RIDGEWALK_FOR_THIS_CPU(mix, g, x, mixture, first, last, channels, of_x);                       \
  }

RIDGEWALK_NORM_KERNELS(float)
RIDGEWALK_NORM_KERNELS(Bf16)

}  // namespace ridgewalk
