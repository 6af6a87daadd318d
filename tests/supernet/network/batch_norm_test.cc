#include "supernet/network/batch_norm.h"

#include <cmath>
#include <mutex>
#include <set>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace ridgewalk {
namespace {

struct Seen {
  torch::Tensor y, of_x, of_weight, of_bias, running_mean, running_variance;
};

// The outputs and gradients of `normalise` for a loss whose gradient differs at every position.
template <class Normalise>
Seen seen(const torch::Tensor& x, torch::ScalarType arithmetic, Normalise normalise) {
  const int64_t channels = x.size(1);
  const auto of_parameters = torch::TensorOptions(arithmetic);
  auto own_x = x.detach().clone(torch::MemoryFormat::Preserve).requires_grad_();
  auto weight = torch::linspace(0.5, 1.5, channels, of_parameters).requires_grad_();
  auto bias = torch::linspace(-0.5, 0.5, channels, of_parameters).requires_grad_();
  auto mean = torch::full({channels}, 0.25, of_parameters);
  auto variance = torch::full({channels}, 0.75, of_parameters);
  const torch::Tensor y =
      normalise(own_x, NormParameters{weight, bias, mean, variance}).to(torch::kDouble);
  (y * torch::linspace(-1, 1, y.numel(), torch::kDouble).view(y.sizes())).sum().backward();
  return {y.detach(), own_x.grad().to(torch::kDouble), weight.grad(), bias.grad(), mean, variance};
}

double distance(const torch::Tensor& a, const torch::Tensor& b) {
  const auto wide_a = a.to(torch::kDouble), wide_b = b.to(torch::kDouble);
  return ((wide_a - wide_b).abs().max() / wide_b.abs().max().clamp_min(1e-3)).item<double>();
}

torch::Tensor images(std::vector<int64_t> shape, torch::ScalarType type) {
  return torch::randn(shape).mul(2).add(0.5).to(type).contiguous(torch::MemoryFormat::ChannelsLast);
}

// Compared with LibTorch's in double precision; bf16 has 8 significant bits.
TEST(BatchNorm, HasTheOutputAndTheGradientsOfLibTorchs) {
  at::manual_seed(1);
  const std::vector<std::vector<int64_t>> shapes = {
      {2, 1, 1, 1}, {3, 3, 5, 4}, {4, 24, 7, 7}, {8, 65, 9, 9}, {2, 200, 3, 3}, {16, 16, 28, 28}};
  for (const auto& shape : shapes) {
    for (const auto type : {torch::kFloat, torch::kBFloat16}) {
      SCOPED_TRACE(std::to_string(shape[1]) + " channels, " + torch::toString(type));
      const torch::Tensor x = images(shape, type);
      const Seen own = seen(x, torch::kFloat, [&](const auto& of, const auto& parameters) {
        return batch_norm(of, parameters, 0.1, 1e-5);
      });
      const Seen expected = seen(
          x.to(torch::kDouble), torch::kDouble, [&](const auto& of, const NormParameters& with) {
            return torch::batch_norm(of, with.weight, with.bias, with.running_mean,
                                     with.running_variance, true, 0.1, 1e-5, false);
          });
      const double tolerance = type == torch::kFloat ? 1e-4 : 0.02;
      EXPECT_LT(distance(own.y, expected.y), tolerance);
      // Two values are normalised to +1 and -1 whatever x is: the gradient of x is noise.
      if (shape[0] * shape[2] * shape[3] > 2) {
        EXPECT_LT(distance(own.of_x, expected.of_x), tolerance);
      }
      EXPECT_LT(distance(own.of_weight, expected.of_weight), 1e-2);
      EXPECT_LT(distance(own.of_bias, expected.of_bias), 1e-2);
      EXPECT_LT(distance(own.running_mean, expected.running_mean), 1e-5);
      EXPECT_LT(distance(own.running_variance, expected.running_variance), 1e-5);
    }
  }
}

// Compiled without OpenMP, at::parallel_for would be a plain loop on one thread.
TEST(BatchNorm, SumsOfSeveralThreadsAreThoseOfOne) {
  const int before = at::get_num_threads();
  at::manual_seed(1);
  const torch::Tensor x = images({64, 16, 28, 28}, torch::kFloat);
  const auto by = [&](int threads) {
    at::set_num_threads(threads);
    return seen(x, torch::kFloat, [&](const auto& of, const auto& parameters) {
      return batch_norm(of, parameters, 0.1, 1e-5);
    });
  };
  const Seen one = by(1), three = by(3);
  std::set<int> threads;
  std::mutex mutex;
  at::parallel_for(0, 3, 1, [&](int64_t, int64_t) {
    const std::lock_guard lock(mutex);
    threads.insert(at::get_thread_num());
  });
  at::set_num_threads(before);
  EXPECT_EQ(threads.size(), 3u);
  EXPECT_LT(distance(three.y, one.y), 1e-5);
  EXPECT_LT(distance(three.of_x, one.of_x), 1e-5);
  EXPECT_LT(distance(three.of_weight, one.of_weight), 1e-4);
  EXPECT_LT(distance(three.running_variance, one.running_variance), 1e-5);
}

// Far from 0 a plain sum of squares would lose all digits of the variance.
TEST(BatchNorm, KeepsItsDigitsFarFromZero) {
  at::manual_seed(1);
  const torch::Tensor x = images({16, 8, 14, 14}, torch::kFloat) + 1000;
  const NormParameters parameters{torch::ones(8), torch::zeros(8), {}, {}};
  const auto y = batch_norm(x, parameters, 0.1, 1e-5).to(torch::kDouble);
  EXPECT_LT(y.mean({0, 2, 3}).abs().max().item<double>(), 1e-3);
  EXPECT_LT((y.pow(2).mean({0, 2, 3}) - 1).abs().max().item<double>(), 1e-3);
}

// A diverged training must be visible: as in LibTorch, one such value makes its whole channel NaN,
// and leaves the other channels alone.
TEST(BatchNorm, NotANumberAndInfinityAreSeen) {
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    for (const double broken : {std::nan(""), double(INFINITY), -double(INFINITY)}) {
      for (const int64_t place : {0, 1}) {  // the kernels shift by the first
        SCOPED_TRACE(std::string(torch::toString(type)) + " " + std::to_string(broken));
        torch::Tensor x = images({4, 8, 3, 3}, type);
        x[place][5][2 * place][2 * place] = broken;
        const NormParameters parameters{torch::ones(8), torch::zeros(8), {}, {}};
        const auto y = batch_norm(x, parameters, 0.1, 1e-5).isnan();
        EXPECT_TRUE(y.select(1, 5).all().item<bool>());
        EXPECT_EQ(y.sum().item<int64_t>(), 4 * 9);
      }
    }
  }
}

// Whatever the kernels do not handle, such as other layouts.
TEST(BatchNorm, LeavesTheRestToLibTorch) {
  at::manual_seed(1);
  const NormParameters parameters{torch::ones(8), torch::zeros(8), {}, {}};
  const torch::Tensor x = torch::randn({4, 8, 5, 5});
  const auto expected =
      batch_norm(x.contiguous(torch::MemoryFormat::ChannelsLast), parameters, 0.1, 1e-5);
  EXPECT_LT(distance(batch_norm(x, parameters, 0.1, 1e-5), expected), 1e-5);
  // LibTorch refuses what cannot be normalised; the kernels would read past the end.
  const NormParameters few{torch::ones(7), torch::zeros(8), {}, {}};
  EXPECT_THROW(batch_norm(x.contiguous(torch::MemoryFormat::ChannelsLast), few, 0.1, 1e-5),
               c10::Error);
}

}  // namespace
}  // namespace ridgewalk
