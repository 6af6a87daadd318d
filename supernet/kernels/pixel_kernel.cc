#include <algorithm>

#include "supernet/kernels/depthwise_kernel.h"
#include "supernet/kernels/vectors.h"

namespace ridgewalk {
namespace {

constexpr int64_t kWhole = kDepthwiseChannels;

// Calls whole(place in the image, place in the pixels) for each pixel.
template <class Run>
RIDGEWALK_INLINE void each_pixel(const PixelLayout& layout, Run run) {
  for (int64_t i = 0; i < layout.height; ++i) {
    int64_t in_image = i * layout.width * layout.channels;
    int64_t in_pixels = i * layout.row * kWhole;
    for (int64_t j = 0; j < layout.width; ++j) {
      run(in_image, in_pixels);
      in_image += layout.channels;
      in_pixels += layout.step * kWhole;
    }
  }
}

template <class V, bool kScales, bool kRelu, class T>
RIDGEWALK_INLINE void read_part(const T* x, const float* scale, const float* offset,
                                const PixelLayout& layout, float* to) {
  typename V::Float a, b;
  if constexpr (kScales) {
    load<V>(scale, a);
    load<V>(offset, b);
  }
  each_pixel(layout, [&](int64_t in_image, int64_t in_pixels) __attribute__((always_inline)) {
    typename V::Float value;
    load<V>(x + in_image, value);
    if constexpr (kScales) value = a * value + b;
    if constexpr (kRelu) keep_positive<V>(value);
    store<V>(value, to + in_pixels);
  });
}

template <class V, class T>
RIDGEWALK_INLINE void read(const T* x, const float* scale, const float* offset, bool relu,
                           const PixelLayout& layout, float* to) {
  for (int64_t c = 0; c < kWhole; c += V::kLanes) {
    if (scale == nullptr) {
      read_part<V, false, false>(x + c, scale, offset, layout, to + c);
    } else if (relu) {
      read_part<V, true, true>(x + c, scale + c, offset + c, layout, to + c);
    } else {
      read_part<V, true, false>(x + c, scale + c, offset + c, layout, to + c);
    }
  }
}

template <class V, bool kMasks, class T>
RIDGEWALK_INLINE void gradient_part(const T* g, const T* x, const Mixture& mixture, int64_t c,
                                    const PixelLayout& layout, float* to) {
  typename V::Float by_g, by_x, constant, scale, offset;
  load<V>(mixture.by_g + c, by_g);
  load<V>(mixture.by_x + c, by_x);
  load<V>(mixture.constant + c, constant);
  if constexpr (kMasks) {
    load<V>(mixture.scale + c, scale);
    load<V>(mixture.offset + c, offset);
  }
  each_pixel(layout, [&](int64_t in_image, int64_t in_pixels) __attribute__((always_inline)) {
    typename V::Float value, from;
    load<V>(g + in_image, value);
    load<V>(x + in_image, from);
    if constexpr (kMasks) {
      keep_where_positive<V>(scale * from + offset, value);
    }
    value = by_g * value + by_x * from + constant;
    store<V>(value, to + in_pixels);
  });
}

template <class V, class T>
RIDGEWALK_INLINE void read_gradient(const T* g, const T* x, const Mixture& mixture,
                                    const PixelLayout& layout, float* to) {
  for (int64_t c = 0; c < kWhole; c += V::kLanes) {
    if (mixture.by_g == nullptr) {
      read_part<V, false, false>(g + c, nullptr, nullptr, layout, to + c);
    } else if (mixture.scale != nullptr) {
      gradient_part<V, true>(g + c, x + c, mixture, c, layout, to + c);
    } else {
      gradient_part<V, false>(g + c, x + c, mixture, c, layout, to + c);
    }
  }
}

template <class V, bool kAdds, class T>
RIDGEWALK_INLINE void write_part(const float* from, const PixelLayout& layout, T* to) {
  each_pixel(layout, [&](int64_t in_image, int64_t in_pixels) __attribute__((always_inline)) {
    typename V::Float value;
    load<V>(from + in_pixels, value);
    if constexpr (kAdds) {
      typename V::Float before;
      load<V>(to + in_image, before);
      value += before;
    }
    store<V>(value, to + in_image);
  });
}

template <class V, class T>
RIDGEWALK_INLINE void write(const float* from, const PixelLayout& layout, bool adds, T* to) {
  for (int64_t c = 0; c < kWhole; c += V::kLanes) {
    if (adds) {
      write_part<V, true>(from + c, layout, to + c);
    } else {
      write_part<V, false>(from + c, layout, to + c);
    }
  }
}

#define RIDGEWALK_PIXELS(ATTRIBUTE, NAME, VECTORS)                                              \
  template <class T>                                                                            \
  ATTRIBUTE void read_##NAME(const T* x, const float* scale, const float* offset, bool relu,    \
                             const PixelLayout& layout, float* to) {                            \
    read<VECTORS>(x, scale, offset, relu, layout, to);                                          \
  }                                                                                             \
  template <class T>                                                                            \
  ATTRIBUTE void read_gradient_##NAME(const T* g, const T* x, const Mixture& mixture,           \
                                      const PixelLayout& layout, float* to) {                   \
    read_gradient<VECTORS>(g, x, mixture, layout, to);                                          \
  }                                                                                             \
  template <class T>                                                                            \
  ATTRIBUTE void write_##NAME(const float* from, const PixelLayout& layout, bool adds, T* to) { \
    write<VECTORS>(from, layout, adds, to);                                                     \
  }
RIDGEWALK_PIXELS(, base, Vectors<16>)
#ifdef RIDGEWALK_X86
RIDGEWALK_PIXELS(RIDGEWALK_AVX2, avx2, Vectors<32>)
RIDGEWALK_PIXELS(RIDGEWALK_AVX512, avx512, Vectors<64>)
RIDGEWALK_PIXELS(RIDGEWALK_AVX512, avx512_bf16, Bf16Vectors)
#endif

// A few channels, one by one; those that are missing are 0.
template <class Value>
void fill_some(const PixelLayout& layout, float* to, Value value) {
  each_pixel(layout, [&](int64_t in_image, int64_t in_pixels) {
    for (int64_t c = 0; c < kWhole; ++c) {
      to[in_pixels + c] = c < layout.count ? value(in_image + c, c) : 0.0F;
    }
  });
}

}  // namespace

template <class T>
void read_pixels(const T* x, const float* scale, const float* offset, bool relu,
                 const PixelLayout& layout, float* to) {
  if (layout.count < kWhole) {
    return fill_some(layout, to, [&](int64_t at, int64_t c) {
      const float from = to_float(x[at]);
      if (scale == nullptr) return from;
      const float y = scale[c] * from + offset[c];
      return relu && y < 0 ? 0.0F : y;
    });
  }
  RIDGEWALK_FOR_THIS_CPU(read, x, scale, offset, relu, layout, to);
}

template <class T>
void read_gradient_pixels(const T* g, const T* x, const Mixture& mixture, const PixelLayout& layout,
                          float* to) {
  if (layout.count < kWhole) {
    return fill_some(layout, to, [&](int64_t at, int64_t c) {
      const float gradient = to_float(g[at]);
      if (mixture.by_g == nullptr) return gradient;
      const float from = to_float(x[at]);
      const bool is_off =
          mixture.scale != nullptr && mixture.scale[c] * from + mixture.offset[c] <= 0;
      return mixture.by_g[c] * (is_off ? 0.0F : gradient) + mixture.by_x[c] * from +
             mixture.constant[c];
    });
  }
  RIDGEWALK_FOR_THIS_CPU(read_gradient, g, x, mixture, layout, to);
}

template <class T>
void write_pixels(const float* from, const PixelLayout& layout, bool adds, T* to) {
  if (layout.count < kWhole) {
    each_pixel(layout, [&](int64_t in_image, int64_t in_pixels) {
      for (int64_t c = 0; c < layout.count; ++c) {
        T& at = to[in_image + c];
        store(adds ? to_float(at) + from[in_pixels + c] : from[in_pixels + c], at);
      }
    });
    return;
  }
  RIDGEWALK_FOR_THIS_CPU(write, from, layout, adds, to);
}

#define RIDGEWALK_PIXELS_OF(T)                                                               \
  template void read_pixels(const T*, const float*, const float*, bool, const PixelLayout&,  \
                            float*);                                                         \
  template void read_gradient_pixels(const T*, const T*, const Mixture&, const PixelLayout&, \
                                     float*);                                                \
  template void write_pixels(const float*, const PixelLayout&, bool, T*);
RIDGEWALK_PIXELS_OF(float)
RIDGEWALK_PIXELS_OF(Bf16)

}  // namespace ridgewalk
