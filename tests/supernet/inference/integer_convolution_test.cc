// The convolution of integers for CPUs without VNNI, beside plain loops.
#include <algorithm>

#include <gtest/gtest.h>

#include "supernet/kernels/cpu_level.h"
#include "supernet/kernels/integer_convolution_kernel.h"
#include "supernet/quantization/plain_convolution.h"

namespace ridgewalk {
namespace {

class IntegerConvolutionTest : public testing::TestWithParam<CpuLevel> {
 protected:
  void SetUp() override {
    torch::manual_seed(2);
    limit_cpu_level(GetParam());
  }
  void TearDown() override { limit_cpu_level(CpuLevel::kAvx512Bf16); }
};

// Of all values that a type has, a third of them the largest.
torch::Tensor bytes_of(torch::IntArrayRef sizes, bool is_signed) {
  const torch::Tensor bytes = torch::randint(-64, 320, sizes, torch::kInt).clamp(0, 255);
  return is_signed ? (bytes - 128).to(torch::kChar) : bytes.to(torch::kByte);
}

template <class T>
std::vector<T> run(const IntegerConvolution& kernel, const ConvolutionShape& shape,
                   const uint8_t* x) {
  std::vector<T> y(size_t(shape.out_height * shape.out_width * shape.channels), T(99));
  std::vector<uint8_t> scratchpad(size_t(kernel.scratchpad_bytes()), 77);
  const int64_t middle = kernel.blocks() / 2;
  kernel.run(x, middle, kernel.blocks(), scratchpad.data(), y.data());
  kernel.run(x, 0, middle, scratchpad.data(), y.data());
  return y;
}

template <class T>
int64_t unequal(const std::vector<T>& y, const torch::Tensor& expected) {
  const auto* e = static_cast<const T*>(expected.data_ptr());
  int64_t count = 0;
  for (size_t i = 0; i < y.size(); ++i) count += y[i] != e[i] ? 1 : 0;
  return count;
}

void expect_plain(int64_t in, int64_t out, int64_t groups, int64_t k, int64_t stride,
                  bool is_signed, int zero_point = 0) {
  const ConvolutionShape shape{.in_channels = in,
                               .channels = out,
                               .groups = groups,
                               .kernel_height = k,
                               .kernel_width = k,
                               .stride = stride,
                               .height = 9,
                               .width = 7,
                               .out_height = 8 / stride + 1,
                               .out_width = 6 / stride + 1,
                               .padding = (k - 1) / 2};
  const torch::Tensor x = bytes_of({1, in, 9, 7}, is_signed);
  const torch::Tensor weight = bytes_of({out, in / groups, k, k}, true);
  const torch::Tensor bias = torch::randint(-20000, 20000, {out}, torch::kInt);
  const torch::Tensor factors = torch::rand({out}) * 0.001;
  const torch::Tensor sums =
      plain_convolution(x.to(torch::kInt) - zero_point, weight, bias,
                        {.stride = stride, .padding = shape.padding, .groups = groups},
                        {int(out), int(shape.out_height), int(shape.out_width)});
  const torch::Tensor scaled =
      (sums.to(torch::kFloat) * factors.view({1, out, 1, 1})).permute({0, 2, 3, 1}).contiguous();
  SumRounding rounding{.bias = {}, .factors = {}, .least = -128, .most = 127};
  rounding.bias.assign(bias.data_ptr<int32_t>(), bias.data_ptr<int32_t>() + out);
  rounding.factors.assign(factors.data_ptr<float>(), factors.data_ptr<float>() + out);
  const torch::Tensor pixels = x.permute({0, 2, 3, 1}).contiguous();
  const auto* bytes = static_cast<const uint8_t*>(pixels.data_ptr());
  const IntegerForm input{.is_signed = is_signed, .zero_point = zero_point};
  rounding.zero_point = zero_point == 0 ? 0 : 128;
  const IntegerConvolution rounded(shape, weight.data_ptr<int8_t>(), input, rounding);
  EXPECT_EQ(
      unequal(
          run<uint8_t>(rounded, shape, bytes),
          (scaled.clamp(-128, 127).round() + rounding.zero_point).to(torch::kInt).to(torch::kByte)),
      0)
      << in << " to " << out << " in " << groups << ", kernel " << k << ", stride " << stride;
  rounding.least = -1e30F;
  rounding.most = 1e30F;
  const IntegerConvolution real(shape, weight.data_ptr<int8_t>(), input, rounding);
  EXPECT_EQ(unequal(run<float>(real, shape, bytes), scaled), 0);
}

TEST_P(IntegerConvolutionTest, GivesThePlainSums) {
  for (bool is_signed : {false, true}) {
    expect_plain(3, 16, 1, 3, 2, is_signed);
    expect_plain(24, 40, 1, 1, 1, is_signed);
    expect_plain(24, 48, 3, 3, 1, is_signed);
    expect_plain(7, 7, 7, 5, 1, is_signed);
    expect_plain(20, 5, 1, 7, 3, is_signed);
    expect_plain(21, 10, 1, 1, 1, is_signed);
    expect_plain(24, 8, 1, 1, 2, is_signed);
    expect_plain(1030, 6, 2, 1, 1, is_signed);
    expect_plain(1500, 33, 1, 1, 1, is_signed);  // in several parts
  }
  expect_plain(24, 48, 3, 3, 1, false, 35);
  expect_plain(20, 5, 1, 7, 3, false, 255);
  expect_plain(1030, 6, 2, 1, 1, false, 120);
  expect_plain(24, 40, 1, 1, 1, false, 7);
  expect_plain(20, 5, 1, 7, 3, true, -128);
}

// Pairs of the largest products would not fit 16 bits.
TEST_P(IntegerConvolutionTest, SaturatesNowhere) {
  constexpr int64_t kChannels = 1300;
  const ConvolutionShape shape{.in_channels = kChannels,
                               .channels = 2,
                               .height = 1,
                               .width = 1,
                               .out_height = 1,
                               .out_width = 1};
  const std::vector<uint8_t> x(kChannels, 255);
  std::vector<int8_t> weight(2 * kChannels, 127);
  std::fill(weight.begin() + kChannels, weight.end(), int8_t{-128});
  weight[5] = 126;
  const IntegerConvolution kernel(
      shape, weight.data(), {},
      {.bias = {1, -1}, .factors = {1, 1}, .least = -1e30F, .most = 1e30F});
  // 1300 * 255 * 127 - 255 + 1 and -1300 * 255 * 128 - 1, as the nearest fp32.
  EXPECT_EQ(run<float>(kernel, shape, x.data()),
            (std::vector<float>{float(42'100'246), float(-42'432'001)}));
}

INSTANTIATE_TEST_SUITE_P(Cpus, IntegerConvolutionTest,
                         testing::Values(CpuLevel::kBase, CpuLevel::kAvx2, CpuLevel::kAvx512),
                         [](const auto& test) {
                           return test.param == CpuLevel::kBase   ? "plain"
                                  : test.param == CpuLevel::kAvx2 ? "avx2"
                                                                  : "avx512";
                         });

}  // namespace
}  // namespace ridgewalk
