#include "supernet/kernels/integer_convolution_kernel.h"

#include <algorithm>
#include <utility>

#include "supernet/kernels/packing.h"

namespace ridgewalk {
namespace {

constexpr int64_t kRows = 32;    // output pixels of a block
constexpr int64_t kDepth = 512;  // products of a part; even, for they are multiplied in pairs

void finish(const int32_t* sums, int64_t channels, const SumRounding& rounding, uint8_t* y) {
  round_sums(sums, channels, rounding, y);
}

void finish(const int32_t* sums, int64_t channels, const SumRounding& rounding, float* y) {
  for (int64_t c = 0; c < channels; ++c) {
    const float scaled = float(sums[c]) * rounding.factors[size_t(c)];
    y[c] = std::min(std::max(scaled, rounding.least), rounding.most);
  }
}

// Of each input channel's taps, to the channels of each tap.
std::vector<int16_t> by_tap(const int8_t* weight, int64_t rows, int64_t channels, int64_t taps) {
  std::vector<int16_t> result(size_t(rows * channels * taps));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t t = 0; t < taps; ++t) {
        result[size_t((r * taps + t) * channels + c)] = *weight++;
      }
    }
  }
  return result;
}

}  // namespace

IntegerConvolution::IntegerConvolution(const ConvolutionShape& shape, const int8_t* weight,
                                       const IntegerForm& input, SumRounding rounding)
    : shape_(shape), input_(input), rounding_(std::move(rounding)) {
  const int64_t taps = shape.kernel_height * shape.kernel_width;
  const int64_t in = shape.in_channels / shape.groups, out = shape.channels / shape.groups;
  const int64_t products = taps * in;
  for (int64_t begin = 0; begin < products; begin += kDepth) {
    const int64_t depth = std::min(kDepth, products - begin);
    parts_.push_back({begin, depth, group_weights_});
    group_weights_ += size_t(packed_units<int16_t>(depth, out));
  }
  const std::vector<int16_t> rows = by_tap(weight, shape.channels, in, taps);
  weights_.resize(size_t(shape.groups) * group_weights_);
  for (int64_t g = 0; g < shape.groups; ++g) {
    for (const Part& part : parts_) {
      pack_integers(rows.data() + g * out * products + part.begin, products, part.depth, out,
                    weights_.data() + size_t(g) * group_weights_ + part.weights);
    }
  }
}

int64_t IntegerConvolution::blocks() const {
  return (shape_.out_height * shape_.out_width + kRows - 1) / kRows;
}

int64_t IntegerConvolution::scratchpad_bytes() const {
  const int64_t units = ridgewalk::units<int16_t>(parts_.front().depth);
  return kRows * (units + shape_.channels) * int64_t(sizeof(int32_t));
}

// What a part multiplies for an output pixel.
void IntegerConvolution::read_pixel(const uint8_t* x, int64_t pixel, int64_t group,
                                    const Part& part, int16_t* row) const {
  const ConvolutionShape& s = shape_;
  const int64_t channels = s.in_channels / s.groups;
  const int64_t top = pixel / s.out_width * s.stride - s.padding;
  const int64_t left = pixel % s.out_width * s.stride - s.padding;
  for (int64_t done = 0; done < part.depth;) {
    const int64_t tap = (part.begin + done) / channels, channel = (part.begin + done) % channels;
    const int64_t i = top + tap / s.kernel_width, j = left + tap % s.kernel_width;
    const int64_t count = std::min(channels - channel, part.depth - done);
    if (i < 0 || i >= s.height || j < 0 || j >= s.width) {
      std::fill_n(row + done, count, int16_t{});
    } else {
      const int64_t from = (i * s.width + j) * s.in_channels + group * channels + channel;
      widen_row(x + from, count, input_, row + done);
    }
    done += count;
  }
}

// The same for several output pixels; 0 follows where the depth is odd.
void IntegerConvolution::read(const uint8_t* x, int64_t first, int64_t rows, int64_t group,
                              const Part& part, int16_t* to) const {
  const ConvolutionShape& s = shape_;
  const int64_t row = 2 * units<int16_t>(part.depth);
  const bool reads_pixels =
      s.kernel_height == 1 && s.kernel_width == 1 && s.stride == 1 && s.padding == 0;
  if (reads_pixels && part.depth == s.in_channels && row == part.depth) {
    return widen_row(x + first * row, rows * row, input_, to);
  }
  const uint8_t* from = x + first * s.in_channels + group * (s.in_channels / s.groups) + part.begin;
  for (int64_t r = 0; r < rows; ++r) {
    if (reads_pixels) {
      widen_row(from + r * s.in_channels, part.depth, input_, to + r * row);
    } else {
      read_pixel(x, first + r, group, part, to + r * row);
    }
    if (part.depth < row) to[r * row + part.depth] = 0;
  }
}

// Of output pixels from `first` on: [pixel, channel].
void IntegerConvolution::sum(const uint8_t* x, int64_t first, int64_t rows, uint8_t* scratchpad,
                             int32_t* sums) const {
  const ConvolutionShape& s = shape_;
  const int64_t out = s.channels / s.groups;
  auto* const left = reinterpret_cast<int16_t*>(scratchpad);
  for (int64_t r = 0; r < rows; ++r) {
    std::copy_n(rounding_.bias.begin(), s.channels, sums + r * s.channels);
  }
  for (int64_t g = 0; g < s.groups; ++g) {
    for (const Part& part : parts_) {
      const int64_t depth = units<int16_t>(part.depth);
      read(x, first, rows, g, part, left);
      multiply_add({.left = reinterpret_cast<const UnitOf<int16_t>::Unit*>(left),
                    .row = depth,
                    .right = weights_.data() + size_t(g) * group_weights_ + part.weights,
                    .panel = packed_panel<int16_t>(part.depth),
                    .right_step = panel_columns(),
                    .rows = rows,
                    .columns = out,
                    .depth = depth},
                   sums + g * out, s.channels);
    }
  }
}

template <class T>
void IntegerConvolution::run_blocks(const uint8_t* x, int64_t first, int64_t last,
                                    uint8_t* scratchpad, T* y) const {
  const int64_t pixels = shape_.out_height * shape_.out_width, channels = shape_.channels;
  auto* const sums = reinterpret_cast<int32_t*>(scratchpad);
  uint8_t* const rest = scratchpad + kRows * channels * int64_t(sizeof(int32_t));
  for (int64_t pixel = first * kRows; pixel < std::min(last * kRows, pixels); pixel += kRows) {
    const int64_t rows = std::min(kRows, pixels - pixel);
    sum(x, pixel, rows, rest, sums);
    for (int64_t r = 0; r < rows; ++r) {
      finish(sums + r * channels, channels, rounding_, y + (pixel + r) * channels);
    }
  }
}

void IntegerConvolution::run(const uint8_t* x, int64_t first, int64_t last, uint8_t* scratchpad,
                             uint8_t* y) const {
  run_blocks(x, first, last, scratchpad, y);
}

void IntegerConvolution::run(const uint8_t* x, int64_t first, int64_t last, uint8_t* scratchpad,
                             float* y) const {
  run_blocks(x, first, last, scratchpad, y);
}

}  // namespace ridgewalk
