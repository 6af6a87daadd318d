// Rows of 8-bit integers that stand for real numbers: what is computed on them outside products.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace ridgewalk {

// Its sum with a number below 2^22 rounds that number to an integer, half to even, whose low byte
// is that of the sum.
inline constexpr float kRounder = 0x1.8p23F;

// real = scale * (integer - zero_point). Bytes are s8 or u8.
struct IntegerForm {
  bool is_signed = false;
  float scale = 1;
  int zero_point = 0;
};

// round half to even(x / scale) + zero_point, saturated.
void quantize_row(const float* x, int64_t count, const IntegerForm& form, uint8_t* y);
// The same of an image [channels, pixels], written as [pixels, channels].
void quantize_image(const float* planes, int64_t channels, int64_t pixels, const IntegerForm& form,
                    uint8_t* y);
void dequantize_row(const uint8_t* x, int64_t count, const IntegerForm& form, float* y);
// The integers, less the zero point.
void widen_row(const uint8_t* x, int64_t count, const IntegerForm& form, int16_t* y);

// In the following, integers are less their zero point.

// Rounds a * a_factor + b * b_factor. The result does not depend on how the CPU adds where the
// factors have at most 16 significant bits.
struct SumForm {
  IntegerForm a, b, y;
  float a_factor = 1, b_factor = 1;
};
void add_row(const uint8_t* a, const uint8_t* b, int64_t count, const SumForm& form, uint8_t* y);

// Rounds x * gate * factor.
struct ProductForm {
  IntegerForm x, gate, y;
  float factor = 1;
};
void multiply_row(const uint8_t* x, const uint8_t* gate, int64_t count, const ProductForm& form,
                  uint8_t* y);

// y[i] = table[x[i]]. x may be y.
using ByteTable = std::array<uint8_t, 256>;
void look_up_row(const uint8_t* x, int64_t count, const ByteTable& table, uint8_t* y);

// Sums of x [pixels, channels] over the pixels: [channels].
void sum_pixels(const uint8_t* x, int64_t pixels, int64_t channels, const IntegerForm& form,
                int32_t* sums);
// Rounds sum * factor.
void scale_sums(const int32_t* sums, int64_t count, float factor, const IntegerForm& form,
                uint8_t* y);

// What the sum of a convolution becomes: fp32(sum + bias) * factor, between `least` and `most`, and
// where it is an integer rounded half to even and moved by the zero point, by which it is a byte.
// `bias` and `factors` have one entry per channel.
struct SumRounding {
  std::vector<int32_t> bias;
  std::vector<float> factors;
  float least = 0, most = 255;
  int zero_point = 0;
};
// Of sums that have the bias already, one per channel.
void round_sums(const int32_t* sums, int64_t channels, const SumRounding& rounding, uint8_t* y);

}  // namespace ridgewalk
