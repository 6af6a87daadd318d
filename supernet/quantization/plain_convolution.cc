#include "supernet/quantization/plain_convolution.h"

#include <stdexcept>

namespace ridgewalk {
namespace {

// One output of plain_convolution(): `x` and `weight` are [channels, H, W] of its group.
int64_t plain_sum(const torch::TensorAccessor<int32_t, 3>& x,
                  const torch::TensorAccessor<int8_t, 3>& weight, int64_t top, int64_t left) {
  int64_t sum = 0;
  for (int64_t c = 0; c < weight.size(0); ++c) {
    for (int64_t i = 0; i < weight.size(1); ++i) {
      for (int64_t j = 0; j < weight.size(2); ++j) {
        const int64_t row = top + i, column = left + j;
        if (row < 0 || row >= x.size(1) || column < 0 || column >= x.size(2)) continue;
        sum += int64_t{x[c][row][column]} * weight[c][i][j];
      }
    }
  }
  return sum;
}

int32_t in_int32(int64_t sum) {
  if (sum != int64_t{int32_t(sum)}) throw std::overflow_error("an integer sum exceeds int32");
  return int32_t(sum);
}

}  // namespace

Window window_of(const Op& op) {
  if (op.kind == OpKind::kLinear) return {};
  return {op.stride, (op.kernel - 1) / 2, groups_of(op)};
}

torch::Tensor plain_convolution(const torch::Tensor& x, const torch::Tensor& weight,
                                const torch::Tensor& bias, const Window& window,
                                const Shape& output) {
  const int64_t images = x.size(0), out = weight.size(0), in = weight.size(1);
  torch::Tensor sums = torch::empty({images, out, output.height, output.width}, torch::kInt);
  auto to = sums.accessor<int32_t, 4>();
  const auto filters = weight.accessor<int8_t, 4>();
  for (int64_t n = 0; n < images; ++n) {
    for (int64_t o = 0; o < out; ++o) {
      const int64_t group = o / (out / window.groups);
      const torch::Tensor group_x = x[n].narrow(0, group * in, in);
      const auto from = group_x.accessor<int32_t, 3>();
      const int64_t start = bias.defined() ? bias.data_ptr<int32_t>()[o] : 0;
      for (int64_t i = 0; i < output.height; ++i) {
        for (int64_t j = 0; j < output.width; ++j) {
          const int64_t sum = plain_sum(from, filters[o], i * window.stride - window.padding,
                                        j * window.stride - window.padding);
          to[n][o][i][j] = in_int32(sum + start);
        }
      }
    }
  }
  return sums;
}

}  // namespace ridgewalk
