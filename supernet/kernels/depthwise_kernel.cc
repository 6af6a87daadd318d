#include "supernet/kernels/depthwise_kernel.h"

#include "supernet/kernels/vectors.h"

namespace ridgewalk {
namespace {

constexpr int64_t kPixel = kDepthwiseChannels;
constexpr int kTogether = 4;  // pixels that share the loads of a weight

template <class V, int kPixels>
RIDGEWALK_INLINE void pixels(const float* x, int64_t row, const float* weight, int64_t kernel,
                             int64_t stride, float* y) {
  constexpr int kParts = kPixel / V::kLanes;
  for (int part = 0; part < kParts; ++part) {
    typename V::Float sums[kPixels];
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) sums[p] = typename V::Float{};
    for (int64_t u = 0; u < kernel; ++u) {
      for (int64_t v = 0; v < kernel; ++v) {
        typename V::Float w;
        load<V>(weight + (u * kernel + v) * kPixel + part * V::kLanes, w);
        const float* from = x + (u * row + v) * kPixel + part * V::kLanes;
#pragma GCC unroll 8
        for (int p = 0; p < kPixels; ++p) {
          typename V::Float value;
          load<V>(from + p * stride * kPixel, value);
          sums[p] += w * value;
        }
      }
    }
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) store<V>(sums[p], y + p * kPixel + part * V::kLanes);
  }
}

template <class V>
RIDGEWALK_INLINE void correlated(const float* x, int64_t row, const float* weight, int64_t kernel,
                                 int64_t stride, int64_t height, int64_t width, float* y) {
  for (int64_t i = 0; i < height; ++i) {
    const float* from = x + i * stride * row * kPixel;
    int64_t j = 0;
    for (; j + kTogether <= width; j += kTogether, y += kTogether * kPixel) {
      pixels<V, kTogether>(from + j * stride * kPixel, row, weight, kernel, stride, y);
    }
    for (; j + 2 <= width; j += 2, y += 2 * kPixel) {
      pixels<V, 2>(from + j * stride * kPixel, row, weight, kernel, stride, y);
    }
    for (; j < width; ++j, y += kPixel) {
      pixels<V, 1>(from + j * stride * kPixel, row, weight, kernel, stride, y);
    }
  }
}

// The taps of one row of the kernel, whose sums stay in registers.
template <class V, int kTaps>
RIDGEWALK_INLINE void taps(const float* x, int64_t row, const float* g, int64_t g_row,
                           int64_t g_step, int64_t stride, int64_t height, int64_t width,
                           float* of_weight) {
  constexpr int kParts = kPixel / V::kLanes;
  for (int part = 0; part < kParts; ++part) {
    typename V::Float sums[kTaps];
#pragma GCC unroll 8
    for (int v = 0; v < kTaps; ++v) load<V>(of_weight + v * kPixel + part * V::kLanes, sums[v]);
    for (int64_t i = 0; i < height; ++i) {
      const float* from = x + i * stride * row * kPixel + part * V::kLanes;
      const float* gradient = g + i * g_row * kPixel + part * V::kLanes;
      for (int64_t j = 0; j < width; ++j) {
        typename V::Float own;
        load<V>(gradient, own);
#pragma GCC unroll 8
        for (int v = 0; v < kTaps; ++v) {
          typename V::Float value;
          load<V>(from + v * kPixel, value);
          sums[v] += own * value;
        }
        from += stride * kPixel;
        gradient += g_step * kPixel;
      }
    }
#pragma GCC unroll 8
    for (int v = 0; v < kTaps; ++v) store<V>(sums[v], of_weight + v * kPixel + part * V::kLanes);
  }
}

template <class V>
RIDGEWALK_INLINE void all_taps(const float* x, int64_t row, const float* g, int64_t g_row,
                               int64_t g_step, int64_t kernel, int64_t stride, int64_t height,
                               int64_t width, float* of_weight) {
  for (int64_t u = 0; u < kernel; ++u) {
    const float* from = x + u * row * kPixel;
    float* to = of_weight + u * kernel * kPixel;
    switch (kernel) {
      case 3:
        taps<V, 3>(from, row, g, g_row, g_step, stride, height, width, to);
        break;
      case 5:
        taps<V, 5>(from, row, g, g_row, g_step, stride, height, width, to);
        break;
      case 7:
        taps<V, 7>(from, row, g, g_row, g_step, stride, height, width, to);
        break;
      default:
        for (int64_t v = 0; v < kernel; ++v) {
          taps<V, 1>(from + v * kPixel, row, g, g_row, g_step, stride, height, width,
                     to + v * kPixel);
        }
    }
  }
}

#define RIDGEWALK_DEPTHWISE(ATTRIBUTE, NAME, BYTES)                                               \
  ATTRIBUTE void correlate_##NAME(const float* x, int64_t row, const float* weight,               \
                                  int64_t kernel, int64_t stride, int64_t height, int64_t width,  \
                                  float* y) {                                                     \
    correlated<Vectors<BYTES>>(x, row, weight, kernel, stride, height, width, y);                 \
  }                                                                                               \
  ATTRIBUTE void add_taps_##NAME(const float* x, int64_t row, const float* g, int64_t g_row,      \
                                 int64_t g_step, int64_t kernel, int64_t stride, int64_t height,  \
                                 int64_t width, float* of_weight) {                               \
    all_taps<Vectors<BYTES>>(x, row, g, g_row, g_step, kernel, stride, height, width, of_weight); \
  }
RIDGEWALK_DEPTHWISE(, base, 16)
#ifdef RIDGEWALK_X86
RIDGEWALK_DEPTHWISE(RIDGEWALK_AVX2, avx2, 32)
RIDGEWALK_DEPTHWISE(RIDGEWALK_AVX512, avx512, 64)
#endif

}  // namespace

void correlate(const float* x, int64_t row, const float* weight, int64_t kernel, int64_t stride,
               int64_t height, int64_t width, float* y) {
#ifdef RIDGEWALK_X86
  if (cpu_level() >= CpuLevel::kAvx512) {
    return correlate_avx512(x, row, weight, kernel, stride, height, width, y);
  }
  if (cpu_level() == CpuLevel::kAvx2) {
    return correlate_avx2(x, row, weight, kernel, stride, height, width, y);
  }
#endif
  correlate_base(x, row, weight, kernel, stride, height, width, y);
}

void add_tap_gradients(const float* x, int64_t row, const float* g, int64_t g_row, int64_t g_step,
                       int64_t kernel, int64_t stride, int64_t height, int64_t width,
                       float* of_weight) {
#ifdef RIDGEWALK_X86
  if (cpu_level() >= CpuLevel::kAvx512) {
    return add_taps_avx512(x, row, g, g_row, g_step, kernel, stride, height, width, of_weight);
  }
  if (cpu_level() == CpuLevel::kAvx2) {
    return add_taps_avx2(x, row, g, g_row, g_step, kernel, stride, height, width, of_weight);
  }
#endif
  add_taps_base(x, row, g, g_row, g_step, kernel, stride, height, width, of_weight);
}

}  // namespace ridgewalk
