// Depthwise convolutions of 8-bit integers on CPUs with AVX2 but without VNNI.
#pragma once

#include <cstdint>
#include <vector>

#include "supernet/kernels/convolution_shape.h"
#include "supernet/kernels/integer_kernel.h"

namespace ridgewalk {

// Widens integers to 16 bits and adds the products of two taps at once, exactly, to int32.
class PairedDepthwise {
 public:
  // As IntegerDepthwise; the kernel has at most kMostTaps taps.
  PairedDepthwise(const ConvolutionShape& shape, const int8_t* weight, const IntegerForm& input,
                  const SumRounding& rounding);
  static constexpr int64_t kMostTaps = 49;
  static bool can_run(const ConvolutionShape& shape);

  // One output row of x: [out_width, channels].
  void run(const uint8_t* x, int64_t row, uint8_t* y) const;

 private:
  // Where the taps of an output pixel begin, two for each pair. Returns the end of what it wrote.
  const uint8_t** find_taps(const uint8_t* x, int64_t row, int64_t column,
                            const uint8_t** to) const;

  ConvolutionShape shape_;
  bool is_signed_;
  int64_t pairs_;  // of taps
  float least_, most_;
  int zero_point_;  // of the output
  // By blocks of 16 channels, in the order in which a block's products are added.
  std::vector<int16_t> weights_;  // [block, pair, half, channel, tap of the pair]
  std::vector<int32_t> bias_;     // [block, half, channel]
  std::vector<float> factors_;
  std::vector<uint8_t> zeros_;  // what lies outside the image, bytes that stand for 0: [channels]
};

}  // namespace ridgewalk
