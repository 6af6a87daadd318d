#include "supernet/network/depthwise.h"

#include <gtest/gtest.h>

#include "supernet/kernels/cpu_level.h"
#include "supernet/network/precision.h"

namespace ridgewalk {
namespace {

struct Gradients {
  torch::Tensor output, of_input, of_weight;
};

template <class Convolve>
Gradients gradients(const torch::Tensor& x, const torch::Tensor& weight, DataType precision,
                    Convolve convolve) {
  const auto own_x = x.clone().requires_grad_();
  const auto own_weight = weight.clone().requires_grad_();
  torch::Tensor output;
  {
    const Autocast autocast(precision, torch::kCPU);
    output = convolve(own_x, own_weight).to(torch::kFloat);
  }
  // Gradients that differ from position to position.
  (output * torch::linspace(-1, 1, output.numel()).view(output.sizes())).sum().backward();
  return {output.detach(), own_x.grad(), own_weight.grad()};
}

double error_of(const torch::Tensor& a, const torch::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

// Compared with torch::conv2d in fp32; bf16 has 8 significant bits.
void expect_gradients_of_a_convolution(int64_t kernel, int64_t stride, int64_t size) {
  const auto x =
      torch::randn({3, 20, size, size + 1}).contiguous(torch::MemoryFormat::ChannelsLast);
  const auto weight = torch::randn({20, 1, kernel, kernel});
  const auto convolved = [&](const torch::Tensor& a, const torch::Tensor& b) {
    return torch::conv2d(a, b, {}, stride, (kernel - 1) / 2, 1, 20);
  };
  const auto own = [&](const torch::Tensor& a, const torch::Tensor& b) {
    return depthwise_conv(a, b, stride);
  };
  const Gradients expected = gradients(x, weight, DataType::kFp32, convolved);
  for (DataType precision : {DataType::kFp32, DataType::kBf16}) {
    const double tolerance = precision == DataType::kFp32 ? 1e-5 : 0.03;
    const Gradients seen = gradients(x, weight, precision, own);
    EXPECT_LT(error_of(seen.output, expected.output), tolerance);
    EXPECT_LT(error_of(seen.of_input, expected.of_input), tolerance);
    EXPECT_LT(error_of(seen.of_weight, expected.of_weight), tolerance);
    EXPECT_EQ(seen.of_weight.scalar_type(), torch::kFloat);
  }
}

// The CPU's level decides who computes the gradient of a weight in bf16.
TEST(Depthwise, HasTheGradientsOfAConvolution) {
  for (const CpuLevel level : {CpuLevel::kAvx512Bf16, CpuLevel::kAvx2}) {
    limit_cpu_level(level);
    at::manual_seed(1);
    for (const int64_t kernel : {3, 5, 7}) {
      for (const int64_t stride : {1, 2}) {
        for (const int64_t size : {4, 7, 14}) {
          SCOPED_TRACE(std::to_string(kernel) + " stride " + std::to_string(stride) + " size " +
                       std::to_string(size) + " level " + std::to_string(int(level)));
          expect_gradients_of_a_convolution(kernel, stride, size);
        }
      }
    }
  }
  limit_cpu_level(CpuLevel::kAvx512Bf16);
}

}  // namespace
}  // namespace ridgewalk
