// The depthwise convolution of integers of our own, beside plain loops.
#include <cmath>

#include <gtest/gtest.h>

#include "supernet/kernels/cpu_level.h"
#include "supernet/kernels/integer_depthwise_kernel.h"
#include "supernet/quantization/plain_convolution.h"

namespace ridgewalk {
namespace {

constexpr CpuLevel kAll = CpuLevel::kAvx512Bf16;

class IntegerDepthwiseTest : public testing::TestWithParam<CpuLevel> {
 protected:
  void SetUp() override {
    torch::manual_seed(1);
    limit_cpu_level(GetParam());
  }
  void TearDown() override { limit_cpu_level(kAll); }
};

ConvolutionShape shape_of(int64_t channels, int64_t kernel, int64_t stride, int64_t height,
                          int64_t width) {
  return {.in_channels = channels,
          .channels = channels,
          .groups = channels,
          .kernel_height = kernel,
          .kernel_width = kernel,
          .stride = stride,
          .height = height,
          .width = width,
          .out_height = (height - 1) / stride + 1,
          .out_width = (width - 1) / stride + 1,
          .padding = (kernel - 1) / 2};
}

// Integers of all values that a type has, with enough of the largest that sums of pairs of products
// would not fit 16 bits.
torch::Tensor integers(torch::IntArrayRef sizes, bool is_signed) {
  const torch::Tensor bytes = torch::randint(-64, 320, sizes, torch::kInt).clamp(0, 255);
  return is_signed ? (bytes - 128).to(torch::kChar) : bytes.to(torch::kByte);
}

std::vector<uint8_t> run(const IntegerDepthwise& kernel, const ConvolutionShape& shape,
                         const torch::Tensor& pixels) {
  std::vector<uint8_t> y(size_t(shape.out_height * shape.out_width * shape.channels), 99);
  std::vector<uint8_t> scratchpad(size_t(kernel.scratchpad_bytes()), 77);
  const auto* x = static_cast<const uint8_t*>(pixels.data_ptr());
  const int64_t middle = kernel.strips() / 2;
  kernel.run(x, middle, kernel.strips(), scratchpad.data(), y.data());
  kernel.run(x, 0, middle, scratchpad.data(), y.data());
  return y;
}

// With a zero point for the input and the output.
void expect_plain(const ConvolutionShape& shape, bool is_signed, int zero_point = 0) {
  const int64_t c = shape.channels, k = shape.kernel_height;
  const torch::Tensor x = integers({1, c, shape.height, shape.width}, is_signed);
  const torch::Tensor weight = integers({c, 1, k, k}, true);
  const torch::Tensor bias = torch::randint(-20000, 20000, {c}, torch::kInt);
  const torch::Tensor factors = torch::rand({c}) * (is_signed ? 0.02 : 0.01);
  const torch::Tensor sums =
      plain_convolution(x.to(torch::kInt) - zero_point, weight, bias,
                        {.stride = shape.stride, .padding = shape.padding, .groups = c},
                        {int(c), int(shape.out_height), int(shape.out_width)});
  const float least = float((is_signed ? -128 : 0) - zero_point);
  const float most = float((is_signed ? 127 : 200) - zero_point);
  const torch::Tensor rounded = (sums.to(torch::kFloat) * factors.view({1, c, 1, 1}))
                                    .clamp(least, most)
                                    .round()  // half to even
                                    .add(zero_point)
                                    .to(is_signed ? torch::kChar : torch::kByte)
                                    .permute({0, 2, 3, 1})
                                    .contiguous();
  SumRounding rounding{
      .bias = {}, .factors = {}, .least = least, .most = most, .zero_point = zero_point};
  rounding.bias.assign(bias.data_ptr<int32_t>(), bias.data_ptr<int32_t>() + c);
  rounding.factors.assign(factors.data_ptr<float>(), factors.data_ptr<float>() + c);
  const IntegerDepthwise kernel(shape, weight.data_ptr<int8_t>(),
                                {.is_signed = is_signed, .zero_point = zero_point}, rounding);
  const std::vector<uint8_t> y = run(kernel, shape, x.permute({0, 2, 3, 1}).contiguous());
  const auto* expected = static_cast<const uint8_t*>(rounded.data_ptr());
  int64_t unequal = 0;
  for (size_t i = 0; i < y.size(); ++i) unequal += y[i] != expected[i] ? 1 : 0;
  EXPECT_EQ(unequal, 0) << c << " channels, kernel " << k << ", stride " << shape.stride << ", "
                        << shape.height << " x " << shape.width << (is_signed ? ", s8" : ", u8")
                        << " around " << zero_point;
}

// 1 2 3 / 4 5 6 / 7 8 9, with an edge filter, bias 1 and factor 0.5, by hand: 5 / 2 and 7 / 2 are
// rounded to 2 and 4, the even ones, and what is below 0 is cut off.
TEST_P(IntegerDepthwiseTest, GivesWhatIsComputedByHand) {
  const ConvolutionShape shape = shape_of(1, 3, 1, 3, 3);
  const int8_t weight[] = {-1, 0, 1, -1, 0, 1, -1, 0, 1};
  const IntegerDepthwise kernel(shape, weight, {}, {.bias = {1}, .factors = {0.5}});
  const torch::Tensor x = torch::arange(1, 10, torch::kByte);
  // Sums: 2 + 5, 4, -7; 2 + 5 + 8, 6, -15; 5 + 8, 4, -13.
  EXPECT_EQ(run(kernel, shape, x), (std::vector<uint8_t>{4, 2, 0, 8, 4, 0, 7, 2, 0}));
}

// The same numbers as bytes that are 3 larger, and what is given as bytes that are 7 larger.
TEST_P(IntegerDepthwiseTest, TakesZeroPointsThatAreComputedByHand) {
  const ConvolutionShape shape = shape_of(1, 3, 1, 3, 3);
  const int8_t weight[] = {-1, 0, 1, -1, 0, 1, -1, 0, 1};
  const IntegerDepthwise kernel(
      shape, weight, {.zero_point = 3},
      {.bias = {1}, .factors = {0.5}, .least = -7, .most = 248, .zero_point = 7});
  const torch::Tensor x = torch::arange(4, 13, torch::kByte);
  // Halves of 8, 5, -6; 16, 7, -14; 14, 5, -12.
  EXPECT_EQ(run(kernel, shape, x), (std::vector<uint8_t>{11, 9, 4, 15, 11, 0, 14, 9, 1}));
}

TEST_P(IntegerDepthwiseTest, GivesThePlainIntegers) {
  for (int64_t kernel : {1, 2, 3, 5, 7, 9}) {
    for (int64_t stride : {1, 2, 3}) {
      for (int64_t channels : {1, 7, 16, 24, 65}) {
        expect_plain(shape_of(channels, kernel, stride, 9, 11), channels % 2 == 0);
      }
      expect_plain(shape_of(33, kernel, stride, 7, 8), true);
      expect_plain(shape_of(33, kernel, stride, 8, 7), false);
      for (int64_t channels : {1, 24, 65}) {
        expect_plain(shape_of(channels, kernel, stride, 8, 7), false, channels == 1 ? 255 : 35);
      }
    }
  }
}

// An image of one pixel, one of fewer than the kernel, and rows and channels beyond a cache.
TEST_P(IntegerDepthwiseTest, TakesExtremeSizes) {
  expect_plain(shape_of(40, 3, 1, 1, 1), true);
  expect_plain(shape_of(40, 7, 2, 2, 3), false);
  expect_plain(shape_of(16, 3, 1, 3, 1200), true);
  expect_plain(shape_of(1000, 5, 1, 5, 9), true);
  expect_plain(shape_of(1300, 5, 2, 6, 12), false);
  expect_plain(shape_of(16, 3, 1, 3, 1200), false, 120);
  expect_plain(shape_of(1300, 5, 2, 6, 12), false, 121);
  expect_plain(shape_of(33, 3, 2, 7, 8), true, -128);
  expect_plain(shape_of(16, 5, 1, 7, 8), true, 5);
}

INSTANTIATE_TEST_SUITE_P(Cpus, IntegerDepthwiseTest,
                         testing::Values(CpuLevel::kBase, CpuLevel::kAvx2, kAll),
                         [](const auto& test) {
                           return test.param == CpuLevel::kBase   ? "plain"
                                  : test.param == CpuLevel::kAvx2 ? "avx2"
                                                                  : "this";
                         });

}  // namespace
}  // namespace ridgewalk
