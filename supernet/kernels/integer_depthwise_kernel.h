// Depthwise convolutions of 8-bit integers, as images [height, width, channels].
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "supernet/kernels/convolution_shape.h"
#include "supernet/kernels/integer_kernel.h"
#include "supernet/kernels/paired_depthwise_kernel.h"

namespace ridgewalk {

// A convolution with its weights packed for this CPU. Every sum is exact; it must fit int32.
class IntegerDepthwise {
 public:
  // A group for each channel; weight is s8 [channels, kernel_height, kernel_width].
  IntegerDepthwise(const ConvolutionShape& shape, const int8_t* weight, const IntegerForm& input,
                   SumRounding rounding);

  // Output rows are computed in strips of a few; runs for different strips do not disturb each
  // other, but each needs a scratchpad of its own.
  int64_t strips() const { return (shape_.out_height + together_ - 1) / together_; }
  int64_t scratchpad_bytes() const;
  void run(const uint8_t* x, int64_t first_strip, int64_t last_strip, uint8_t* scratchpad,
           uint8_t* y) const;

  // The kernel that runs, such as "pairs:avx2".
  const char* name() const;

  // Whether this CPU has instructions that add four products (AVX-512 with VNNI).
  static bool is_fast();

 private:
  void pack(const int8_t* weight);
  void transpose(const int8_t* weight);
  int64_t columns() const;
  int64_t channels_at_once() const;
  void run_plain(const uint8_t* x, int64_t row, int32_t* sums, uint8_t* y) const;
  void run_strip(const uint8_t* x, int64_t strip, int64_t channel, uint8_t* scratchpad,
                 uint8_t* y) const;
  void interleave(const uint8_t* x, int64_t row, int64_t channel, int64_t count, uint8_t* to) const;

  ConvolutionShape shape_;
  uint8_t flip_, zero_;  // s8 are read as u8 that are 128 larger; what 0 is among these
  bool is_packed_;
  int64_t groups_, together_;  // of four input rows, and output rows, in a strip
  SumRounding rounding_;
  std::optional<PairedDepthwise> paired_;  // in place of what follows
  // Packed: [16 channels, group, column, output row, channel, input row of the group]; else
  // [row, column, channel].
  std::vector<int8_t> weights_;
  std::vector<uint8_t> outside_;  // bytes that stand for 0
};

}  // namespace ridgewalk
