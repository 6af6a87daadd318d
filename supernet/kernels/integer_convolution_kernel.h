// Convolutions of 8-bit integers on CPUs without an instruction that adds products of them exactly
// (VNNI), as images [height, width, channels].
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "supernet/kernels/convolution_shape.h"
#include "supernet/kernels/integer_kernel.h"

namespace ridgewalk {

// Multiplies integers of 16 bits, two neighbours in depth at once, and adds them up as int32, which
// the whole must fit.
class IntegerConvolution {
 public:
  // weight is s8 [channels, in_channels / groups, kernel_height, kernel_width].
  IntegerConvolution(const ConvolutionShape& shape, const int8_t* weight, const IntegerForm& input,
                     SumRounding rounding);

  // Output pixels are computed in blocks; runs for different blocks do not disturb each other, but
  // each needs a scratchpad of its own.
  int64_t blocks() const;
  int64_t scratchpad_bytes() const;
  // Writes integers, or reals that are not rounded.
  void run(const uint8_t* x, int64_t first, int64_t last, uint8_t* scratchpad, uint8_t* y) const;
  void run(const uint8_t* x, int64_t first, int64_t last, uint8_t* scratchpad, float* y) const;

 private:
  // Of the products that give a sum: a range that stays in the cache with the pixels of a block.
  struct Part {
    int64_t begin = 0, depth = 0;
    size_t weights = 0;  // where its packed weights begin in those of a group
  };

  void sum(const uint8_t* x, int64_t first, int64_t rows, uint8_t* scratchpad, int32_t* sums) const;
  void read_pixel(const uint8_t* x, int64_t pixel, int64_t group, const Part& part,
                  int16_t* row) const;
  void read(const uint8_t* x, int64_t first, int64_t rows, int64_t group, const Part& part,
            int16_t* to) const;
  template <class T>
  void run_blocks(const uint8_t* x, int64_t first, int64_t last, uint8_t* scratchpad, T* y) const;

  ConvolutionShape shape_;
  IntegerForm input_;
  SumRounding rounding_;
  std::vector<Part> parts_;
  size_t group_weights_ = 0;
  std::vector<uint32_t> weights_;  // [group, part], each packed
};

}  // namespace ridgewalk
