#include "supernet/kernels/integer_kernel.h"

#include <algorithm>

#include "supernet/kernels/cpu_level.h"
#include "supernet/kernels/each_cpu.h"

#ifdef RIDGEWALK_X86
#include <immintrin.h>
#endif

namespace ridgewalk {
namespace {

// s8 as u8 that are 128 larger, as is their zero point: so one loop serves both.
struct Bytes {
  explicit Bytes(const IntegerForm& form)
      : flip(form.is_signed ? 0x80 : 0),
        zero(form.zero_point + (form.is_signed ? 128 : 0)),
        least(float(-zero)),
        most(float(255 - zero)) {}
  uint8_t flip;
  int zero;
  float least, most;  // integers less the zero point
};

RIDGEWALK_INLINE int integer(uint8_t byte, const Bytes& form) {
  return int(uint8_t(byte ^ form.flip)) - form.zero;
}

RIDGEWALK_INLINE uint8_t rounded(float x, const Bytes& form) {
  x = x > form.least ? x : form.least;  // NaN, too
  x = x > form.most ? form.most : x;
  const float shifted = x + kRounder;
  return uint8_t(int(shifted - kRounder) + form.zero) ^ form.flip;
}

#ifdef RIDGEWALK_X86
// 64 bytes at a time, each half of the table by a permutation. Returns how many bytes it did.
__attribute__((target("avx512f,avx512bw,avx512vbmi"))) int64_t
look_up_blocks(const uint8_t* x, int64_t count, const ByteTable& table, uint8_t* y) {
  __m512i quarters[4];
  for (int q = 0; q < 4; ++q) quarters[q] = _mm512_loadu_si512(table.data() + q * 64);
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) {
    const __m512i places = _mm512_loadu_si512(x + i);
    const __m512i low = _mm512_permutex2var_epi8(quarters[0], places, quarters[1]);
    const __m512i high = _mm512_permutex2var_epi8(quarters[2], places, quarters[3]);
    _mm512_storeu_si512(y + i, _mm512_mask_blend_epi8(_mm512_movepi8_mask(places), low, high));
  }
  return i;
}
#endif

}  // namespace

RIDGEWALK_EACH_CPU void quantize_row(const float* __restrict x, int64_t count,
                                     const IntegerForm& form, uint8_t* __restrict y) {
  const Bytes bytes(form);
  const float scale = form.scale;
  for (int64_t i = 0; i < count; ++i) y[i] = rounded(x[i] / scale, bytes);
}

RIDGEWALK_EACH_CPU void quantize_image(const float* __restrict planes, int64_t channels,
                                       int64_t pixels, const IntegerForm& form,
                                       uint8_t* __restrict y) {
  const Bytes bytes(form);
  const float scale = form.scale;
  if (channels == 3) {  // a loop that becomes vectors
    const float *red = planes, *green = planes + pixels, *blue = planes + 2 * pixels;
    for (int64_t p = 0; p < pixels; ++p) {
      y[3 * p] = rounded(red[p] / scale, bytes);
      y[3 * p + 1] = rounded(green[p] / scale, bytes);
      y[3 * p + 2] = rounded(blue[p] / scale, bytes);
    }
    return;
  }
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t p = 0; p < pixels; ++p) {
      y[p * channels + c] = rounded(planes[c * pixels + p] / scale, bytes);
    }
  }
}

RIDGEWALK_EACH_CPU void dequantize_row(const uint8_t* __restrict x, int64_t count,
                                       const IntegerForm& form, float* __restrict y) {
  const Bytes bytes(form);
  const float scale = form.scale;
  for (int64_t i = 0; i < count; ++i) y[i] = float(integer(x[i], bytes)) * scale;
}

RIDGEWALK_EACH_CPU void widen_row(const uint8_t* __restrict x, int64_t count,
                                  const IntegerForm& form, int16_t* __restrict y) {
  const auto zero = int16_t(form.zero_point);
  if (form.is_signed) {
    for (int64_t i = 0; i < count; ++i) y[i] = int16_t(int8_t(x[i]) - zero);
  } else {
    for (int64_t i = 0; i < count; ++i) y[i] = int16_t(x[i] - zero);
  }
}

RIDGEWALK_EACH_CPU void add_row(const uint8_t* __restrict a, const uint8_t* __restrict b,
                                int64_t count, const SumForm& form, uint8_t* __restrict y) {
  const Bytes of_a(form.a), of_b(form.b), of_y(form.y);
  const float a_factor = form.a_factor, b_factor = form.b_factor;
  for (int64_t i = 0; i < count; ++i) {
    y[i] = rounded(float(integer(a[i], of_a)) * a_factor + float(integer(b[i], of_b)) * b_factor,
                   of_y);
  }
}

RIDGEWALK_EACH_CPU void multiply_row(const uint8_t* __restrict x, const uint8_t* __restrict gate,
                                     int64_t count, const ProductForm& form,
                                     uint8_t* __restrict y) {
  const Bytes of_x(form.x), of_gate(form.gate), of_y(form.y);
  const float factor = form.factor;
  for (int64_t i = 0; i < count; ++i) {
    y[i] = rounded(float(integer(x[i], of_x) * integer(gate[i], of_gate)) * factor, of_y);
  }
}

void look_up_row(const uint8_t* x, int64_t count, const ByteTable& table, uint8_t* y) {
  int64_t i = 0;
#ifdef RIDGEWALK_X86
  static const bool has_byte_permutes = __builtin_cpu_supports("avx512vbmi");
  if (has_byte_permutes) i = look_up_blocks(x, count, table, y);
#endif
  for (; i < count; ++i) y[i] = table[x[i]];
}

RIDGEWALK_EACH_CPU void sum_pixels(const uint8_t* __restrict x, int64_t pixels, int64_t channels,
                                   const IntegerForm& form, int32_t* __restrict sums) {
  const Bytes bytes(form);
  std::fill_n(sums, channels, int32_t(-pixels * bytes.zero));
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) sums[c] += uint8_t(x[p * channels + c] ^ bytes.flip);
  }
}

RIDGEWALK_EACH_CPU void scale_sums(const int32_t* __restrict sums, int64_t count, float factor,
                                   const IntegerForm& form, uint8_t* __restrict y) {
  const Bytes bytes(form);
  for (int64_t i = 0; i < count; ++i) y[i] = rounded(float(sums[i]) * factor, bytes);
}

RIDGEWALK_EACH_CPU void round_sums(const int32_t* __restrict sums, int64_t channels,
                                   const SumRounding& rounding, uint8_t* __restrict y) {
  const float* const factors = rounding.factors.data();
  const float least = rounding.least, most = rounding.most;
  const int zero = rounding.zero_point;
  for (int64_t c = 0; c < channels; ++c) {
    const float scaled = std::min(std::max(float(sums[c]) * factors[c], least), most);
    y[c] = uint8_t(int(scaled + kRounder - kRounder) + zero);
  }
}

}  // namespace ridgewalk
