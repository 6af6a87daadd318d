#include "supernet/kernels/integer_convolution_kernel.h"

#include <algorithm>
#include <utility>

#include "supernet/kernels/packing.h"

namespace ridgewalk {
namespace {

constexpr int64_t kRows = 32;    // output pixels of a block
constexpr int64_t kDepth = 512;  // products: 512 * 255 * 128 < 2^24

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
std::vector<float> by_tap(const int8_t* weight, int64_t rows, int64_t channels, int64_t taps) {
  std::vector<float> result(size_t(rows * channels * taps));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t t = 0; t < taps; ++t) {
        result[size_t((r * taps + t) * channels + c)] = float(*weight++);
      }
    }
  }
  return result;
}

}  // namespace

IntegerConvolution::IntegerConvolution(const ConvolutionShape& shape, const int8_t* weight,
                                       bool is_signed, SumRounding rounding)
    : shape_(shape), form_{is_signed, 1}, rounding_(std::move(rounding)) {
  const int64_t taps = shape.kernel_height * shape.kernel_width;
  const int64_t in = shape.in_channels / shape.groups, out = shape.channels / shape.groups;
  const int64_t products = taps * in;
  for (int64_t begin = 0; begin < products; begin += kDepth) {
    const int64_t depth = std::min(kDepth, products - begin);
    parts_.push_back({begin, depth, group_weights_});
    group_weights_ += size_t(packed_units<float>(depth, out));
  }
  const std::vector<float> rows = by_tap(weight, shape.channels, in, taps);
  weights_.resize(size_t(shape.groups) * group_weights_);
  for (int64_t g = 0; g < shape.groups; ++g) {
    for (const Part& part : parts_) {
      pack<float>(rows.data() + g * out * products + part.begin, 1, products, part.depth, out,
                  weights_.data() + size_t(g) * group_weights_ + part.weights);
    }
  }
}

int64_t IntegerConvolution::blocks() const {
  return (shape_.out_height * shape_.out_width + kRows - 1) / kRows;
}

int64_t IntegerConvolution::scratchpad_bytes() const {
  const int64_t read = parts_.front().depth, product = shape_.channels / shape_.groups;
  return kRows * (read + product + shape_.channels) * int64_t(sizeof(float));
}

// What a part multiplies for an output pixel.
void IntegerConvolution::read(const uint8_t* x, int64_t pixel, int64_t group, const Part& part,
                              float* row) const {
  const ConvolutionShape& s = shape_;
  const int64_t channels = s.in_channels / s.groups;
  const int64_t top = pixel / s.out_width * s.stride - s.padding;
  const int64_t left = pixel % s.out_width * s.stride - s.padding;
  for (int64_t done = 0; done < part.depth;) {
    const int64_t tap = (part.begin + done) / channels, channel = (part.begin + done) % channels;
    const int64_t i = top + tap / s.kernel_width, j = left + tap % s.kernel_width;
    const int64_t count = std::min(channels - channel, part.depth - done);
    if (i < 0 || i >= s.height || j < 0 || j >= s.width) {
      std::fill_n(row + done, count, 0.F);
    } else {
      const int64_t from = (i * s.width + j) * s.in_channels + group * channels + channel;
      dequantize_row(x + from, count, form_, row + done);
    }
    done += count;
  }
}

// Of output pixels from `first` on: [pixel, channel].
void IntegerConvolution::sum(const uint8_t* x, int64_t first, int64_t rows, uint8_t* scratchpad,
                             int32_t* sums) const {
  const ConvolutionShape& s = shape_;
  const int64_t out = s.channels / s.groups;
  auto* const left = reinterpret_cast<float*>(scratchpad);
  float* const products = left + kRows * parts_.front().depth;
  for (int64_t r = 0; r < rows; ++r) {
    std::copy_n(rounding_.bias.begin(), s.channels, sums + r * s.channels);
  }
  for (int64_t g = 0; g < s.groups; ++g) {
    for (const Part& part : parts_) {
      for (int64_t r = 0; r < rows; ++r) read(x, first + r, g, part, left + r * part.depth);
      multiply({.left = left,
                .row = part.depth,
                .right = weights_.data() + size_t(g) * group_weights_ + part.weights,
                .panel = packed_panel<float>(part.depth),
                .right_step = panel_columns(),
                .rows = rows,
                .columns = out,
                .depth = part.depth},
               products, out);
      for (int64_t r = 0; r < rows; ++r) {
        int32_t* const to = sums + r * s.channels + g * out;
        for (int64_t c = 0; c < out; ++c) to[c] += int32_t(products[r * out + c]);
      }
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
