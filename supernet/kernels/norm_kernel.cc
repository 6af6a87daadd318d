#include "supernet/kernels/norm_kernel.h"

#include <algorithm>

#include "supernet/kernels/vectors.h"

namespace ridgewalk {
namespace {

using One = Vectors<4>;

constexpr int kTogether = 4;  // registers of channels that are added up at once
constexpr int64_t kRun = 64;  // rows that are added up in fp32

// For every row, add<V>(number, channel, sum, other) adds a register of channels to the sums, which
// are in turn added to `sums` and `others`.
template <class V, int kWide, class Add>
RIDGEWALK_INLINE void add_tile(int64_t first, int64_t last, int64_t channels, int64_t tile,
                               double* sums, double* others, Add add) {
  typename V::Float sum[kWide], other[kWide];
#pragma GCC unroll 4
  for (int v = 0; v < kWide; ++v) sum[v] = other[v] = typename V::Float{};
  for (int64_t r = first; r < last; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kWide; ++v) {
      const int64_t channel = tile + v * V::kLanes;
      add.template operator()<V>(r * channels + channel, channel, sum[v], other[v]);
    }
  }
  float all[2][kWide * V::kLanes];
#pragma GCC unroll 4
  for (int v = 0; v < kWide; ++v) {
    store<V>(sum[v], all[0] + v * V::kLanes);
    store<V>(other[v], all[1] + v * V::kLanes);
  }
  for (int64_t c = 0; c < kWide * V::kLanes; ++c) {
    sums[tile + c] += all[0][c];
    others[tile + c] += all[1][c];
  }
}

template <class V, class Add>
RIDGEWALK_INLINE void add_pairs(int64_t first, int64_t last, int64_t channels, double* sums,
                                double* others, Add add) {
  constexpr int64_t kTile = kTogether * V::kLanes;
  for (int64_t row = first; row < last; row += kRun) {
    const int64_t end = std::min(row + kRun, last);
    int64_t c = 0;
    for (; c + kTile <= channels; c += kTile) {
      add_tile<V, kTogether>(row, end, channels, c, sums, others, add);
    }
    for (; c + V::kLanes <= channels; c += V::kLanes) {
      add_tile<V, 1>(row, end, channels, c, sums, others, add);
    }
    for (; c < channels; ++c) add_tile<One, 1>(row, end, channels, c, sums, others, add);
  }
}

template <class V, class T>
RIDGEWALK_INLINE void moments(const T* x, const float* shift, int64_t first, int64_t last,
                              int64_t channels, double* sum, double* square) {
  const auto add = [=]<class W>(int64_t at, int64_t c, typename W::Float& total,
                                typename W::Float& squares) __attribute__((always_inline)) {
    typename W::Float value, less;
    load<W>(x + at, value);
    load<W>(shift + c, less);
    value -= less;
    total += value;
    squares += value * value;
  };
  add_pairs<V>(first, last, channels, sum, square, add);
}

template <class V, bool kMasked, class T>
RIDGEWALK_INLINE void gradient_moments(const T* g, const T* x, const float* scale,
                                       const float* offset, const float* mean, int64_t first,
                                       int64_t last, int64_t channels, double* sum,
                                       double* product) {
  const auto add = [=]<class W>(int64_t at, int64_t c, typename W::Float& total,
                                typename W::Float& products) __attribute__((always_inline)) {
    typename W::Float value, from, middle;
    load<W>(g + at, value);
    load<W>(x + at, from);
    load<W>(mean + c, middle);
    if constexpr (kMasked) {
      typename W::Float factor, term;
      load<W>(scale + c, factor);
      load<W>(offset + c, term);
      keep_where_positive<W>(factor * from + term, value);
    }
    total += value;
    products += value * (from - middle);
  };
  add_pairs<V>(first, last, channels, sum, product, add);
}

// Calls run<V>(number, channel) for all numbers of the rows.
template <class V, class Run>
RIDGEWALK_INLINE void each_number(int64_t first, int64_t last, int64_t channels, Run run) {
  for (int64_t r = first; r < last; ++r) {
    int64_t c = 0;
    for (; c + V::kLanes <= channels; c += V::kLanes) {
      run.template operator()<V>(r * channels + c, c);
    }
    for (; c < channels; ++c) run.template operator()<One>(r * channels + c, c);
  }
}

template <class V, bool kRelu, class T>
RIDGEWALK_INLINE void scaled(const T* x, const float* scale, const float* offset, int64_t first,
                             int64_t last, int64_t channels, T* y) {
  const auto run = [=]<class W>(int64_t at, int64_t c) __attribute__((always_inline)) {
    typename W::Float value, factor, term;
    load<W>(x + at, value);
    load<W>(scale + c, factor);
    load<W>(offset + c, term);
    value = factor * value + term;
    if constexpr (kRelu) keep_positive<W>(value);
    store<W>(value, y + at);
  };
  each_number<V>(first, last, channels, run);
}

template <class V, bool kMasked, class T>
RIDGEWALK_INLINE void mixed(const T* g, const T* x, const Mixture& mixture, int64_t first,
                            int64_t last, int64_t channels, T* of_x) {
  const auto run = [=]<class W>(int64_t at, int64_t c) __attribute__((always_inline)) {
    typename W::Float value, from, by_g, by_x, constant;
    load<W>(g + at, value);
    load<W>(x + at, from);
    load<W>(mixture.by_g + c, by_g);
    load<W>(mixture.by_x + c, by_x);
    load<W>(mixture.constant + c, constant);
    if constexpr (kMasked) {
      typename W::Float factor, term;
      load<W>(mixture.scale + c, factor);
      load<W>(mixture.offset + c, term);
      keep_where_positive<W>(factor * from + term, value);
    }
    store<W>(by_g * value + by_x * from + constant, of_x + at);
  };
  each_number<V>(first, last, channels, run);
}

#define RIDGEWALK_ROWS(ATTRIBUTE, NAME, VECTORS)                                                 \
  template <class T>                                                                             \
  ATTRIBUTE void moments_##NAME(const T* x, const float* shift, int64_t first, int64_t last,     \
                                int64_t channels, double* sum, double* square) {                 \
    moments<VECTORS>(x, shift, first, last, channels, sum, square);                              \
  }                                                                                              \
  template <class T>                                                                             \
  ATTRIBUTE void scale_##NAME(const T* x, const float* scale, const float* offset, bool relu,    \
                              int64_t first, int64_t last, int64_t channels, T* y) {             \
    relu ? scaled<VECTORS, true>(x, scale, offset, first, last, channels, y)                     \
         : scaled<VECTORS, false>(x, scale, offset, first, last, channels, y);                   \
  }                                                                                              \
  template <class T>                                                                             \
  ATTRIBUTE void gradient_moments_##NAME(                                                        \
      const T* g, const T* x, const float* scale, const float* offset, const float* mean,        \
      int64_t first, int64_t last, int64_t channels, double* sum, double* product) {             \
    if (scale == nullptr) {                                                                      \
      gradient_moments<VECTORS, false>(g, x, scale, offset, mean, first, last, channels, sum,    \
                                       product);                                                 \
    } else {                                                                                     \
      gradient_moments<VECTORS, true>(g, x, scale, offset, mean, first, last, channels, sum,     \
                                      product);                                                  \
    }                                                                                            \
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

#define RIDGEWALK_NORM_KERNELS(T)                                                                 \
  void add_moments(const T* x, const float* shift, int64_t first, int64_t last, int64_t channels, \
                   double* sum, double* square) {                                                 \
    RIDGEWALK_FOR_THIS_CPU(moments, x, shift, first, last, channels, sum, square);                \
  }                                                                                               \
  void scale_rows(const T* x, const float* scale, const float* offset, bool relu, int64_t first,  \
                  int64_t last, int64_t channels, T* y) {                                         \
    RIDGEWALK_FOR_THIS_CPU(scale, x, scale, offset, relu, first, last, channels, y);              \
  }                                                                                               \
  void add_gradient_moments(const T* g, const T* x, const float* scale, const float* offset,      \
                            const float* mean, int64_t first, int64_t last, int64_t channels,     \
                            double* sum, double* product) {                                       \
    RIDGEWALK_FOR_THIS_CPU(gradient_moments, g, x, scale, offset, mean, first, last, channels,    \
                           sum, product);                                                         \
  }                                                                                               \
  void mix_rows(const T* g, const T* x, const Mixture& mixture, int64_t first, int64_t last,      \
                int64_t channels, T* of_x) {                                                      \
    RIDGEWALK_FOR_THIS_CPU(mix, g, x, mixture, first, last, channels, of_x);                      \
  }

RIDGEWALK_NORM_KERNELS(float)
RIDGEWALK_NORM_KERNELS(Bf16)

}  // namespace ridgewalk
