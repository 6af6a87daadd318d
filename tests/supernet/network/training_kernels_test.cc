// The kernels of a training step beside LibTorch.
#include <array>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include "supernet/kernels/activation_kernel.h"
#include "supernet/kernels/cpu_level.h"
#include "supernet/kernels/packing.h"
#include "supernet/network/arena.h"
#include "supernet/network/placement.h"

namespace ridgewalk {
namespace {

constexpr CpuLevel kLevels[] = {CpuLevel::kBase, CpuLevel::kAvx2, CpuLevel::kAvx512,
                                CpuLevel::kAvx512Bf16};

template <class T>
T* numbers(const torch::Tensor& x) {
  return static_cast<T*>(x.data_ptr());
}

// left [rows, depth] times weight [columns, depth] transposed.
template <class T>
torch::Tensor product_of(const torch::Tensor& left, const torch::Tensor& weight) {
  const int64_t rows = left.size(0), depth = left.size(1), columns = weight.size(0);
  const auto even = torch::constant_pad_nd(left, {0, depth % UnitOf<T>::kDepth})
                        .to(std::is_same_v<T, float> ? torch::kFloat : torch::kBFloat16);
  std::vector<typename UnitOf<T>::Unit> packed(size_t(packed_units<T>(depth, columns)));
  pack<T>(weight.data_ptr<float>(), 1, depth, depth, columns, packed.data());
  Product<T> product;
  product.left = numbers<const typename UnitOf<T>::Unit>(even);
  product.row = units<T>(depth);
  product.right = packed.data();
  product.panel = packed_panel<T>(depth);
  product.right_step = panel_columns();
  product.rows = rows;
  product.columns = columns;
  product.depth = units<T>(depth);
  const auto result = torch::ones({rows, columns});
  multiply_add(product, result.data_ptr<float>(), columns);
  multiply_add(product, result.data_ptr<float>(), columns);
  return result;
}

TEST(MatrixKernel, MultipliesMatricesOfAnySize) {
  torch::manual_seed(1);
  for (CpuLevel level : kLevels) {
    limit_cpu_level(level);
    for (auto [rows, columns, depth] :
         {std::array{1, 1, 1}, {8, 32, 16}, {13, 37, 27}, {64, 7, 33}, {7, 65, 128}, {31, 16, 5}}) {
      const auto left = torch::randn({rows, depth}), weight = torch::randn({columns, depth});
      const auto exact = 1 + 2 * left.mm(weight.t());
      EXPECT_TRUE(torch::allclose(product_of<float>(left, weight), exact, 1e-4, 1e-4));
      const auto rounded = 1 + 2 * left.to(torch::kBFloat16)
                                       .to(torch::kFloat)
                                       .mm(weight.to(torch::kBFloat16).to(torch::kFloat).t());
      EXPECT_TRUE(torch::allclose(product_of<Bf16>(left, weight), rounded, 1e-4, 1e-4))
          << rows << " " << columns << " " << depth;
    }
  }
  limit_cpu_level(CpuLevel::kAvx512Bf16);
}

TEST(ActivationKernel, IsLibTorchs) {
  torch::manual_seed(1);
  const auto some = torch::tensor({0.0F, 3.0F, -3.0F, 6.0F, 1e-30F, -90.0F, 90.0F, 1e4F, -1e4F});
  const auto x = torch::cat({torch::randn({2000}) * 3, some}).set_requires_grad(true);
  const auto g = torch::randn_like(x);
  const auto expect = [&](Activation activation, const torch::Tensor& y, double tolerance) {
    auto own = torch::empty_like(x.detach()), of_x = own.clone();
    activate_row(activation, numbers<float>(x), x.numel(), numbers<float>(own));
    activation_gradient_row(activation, numbers<float>(g), numbers<float>(x), x.numel(),
                            numbers<float>(of_x));
    const auto grad = torch::autograd::grad({y}, {x}, {g})[0];
    EXPECT_TRUE(torch::allclose(own, y, tolerance, tolerance)) << int(activation);
    EXPECT_TRUE(torch::allclose(of_x, grad, tolerance, tolerance)) << int(activation);
  };
  expect(Activation::kRelu, torch::relu(x), 1e-7);
  expect(Activation::kRelu6, torch::clamp(x, 0, 6), 1e-7);
  expect(Activation::kHardSwish, torch::hardswish(x), 1e-6);
  expect(Activation::kSilu, torch::silu(x), 1e-6);
  expect(Activation::kGelu, torch::gelu(x), 1e-6);
}

TEST(ActivationKernel, LetsNanThrough) {
  const float nan = std::nanf("");
  for (Activation activation : {Activation::kRelu, Activation::kRelu6, Activation::kHardSwish,
                                Activation::kSilu, Activation::kGelu}) {
    float y = 0;
    activate_row(activation, &nan, 1, &y);
    EXPECT_TRUE(std::isnan(y)) << int(activation);
  }
}

TEST(Arena, HoldsValuesApartWhileTheyLive) {
  std::mt19937_64 random(2);
  std::vector<Tenancy> values;
  for (int i = 0; i < 200; ++i) {
    const auto first = int64_t(random() % 100);
    values.push_back({size_t(random() % 5000), first, first + int64_t(random() % 20)});
  }
  const Placement placement = place(values);
  size_t all = 0, most = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    all += values[i].bytes;
    EXPECT_LE(placement.offsets[i] + values[i].bytes, placement.bytes);
    for (size_t k = 0; k < i; ++k) {
      const bool together = values[i].first <= values[k].last && values[k].first <= values[i].last;
      const bool apart = placement.offsets[i] + values[i].bytes <= placement.offsets[k] ||
                         placement.offsets[k] + values[k].bytes <= placement.offsets[i] ||
                         values[i].bytes == 0 || values[k].bytes == 0;
      EXPECT_TRUE(apart || !together);
    }
  }
  for (int64_t time = 0; time < 120; ++time) {
    size_t alive = 0;
    for (const Tenancy& value : values) {
      if (value.first <= time && time <= value.last) alive += value.bytes;
    }
    most = std::max(most, alive);
  }
  EXPECT_GE(placement.bytes, most);
  EXPECT_LT(double(placement.bytes), 1.3 * double(most));
  EXPECT_LT(placement.bytes, all / 3);
}

}  // namespace
}  // namespace ridgewalk
