#include "supernet/quantization/fake_quantize.h"

#include "tests/helpers.h"

namespace ridgewalk {
namespace {

void expect_near(const torch::Tensor& tensor, const std::vector<float>& expected) {
  EXPECT_TRUE(torch::allclose(tensor.flatten(), torch::tensor(expected), 0, 1e-5)) << tensor;
}

// Steps: -0.6, 0.2, 0.48, 0.5, 0.52, 1.2, 2.4 and 4 of 0.5, in [0, 3]; a half goes to the even one.
// The step's gradient is 1 * 0 - 2 * 0.2 - 3 * 0.48 - 4 * 0.5 + 5 * 0.48 - 6 * 0.2 - 7 * 0.4 + 8
// * 3.
TEST(FakeQuantizeTest, HasTheGradientsOfLearnedSteps) {
  const torch::Tensor x =
      torch::tensor({-0.3f, 0.1f, 0.24f, 0.25f, 0.26f, 0.6f, 1.2f, 2.0f}).requires_grad_();
  const torch::Tensor step = torch::tensor(0.5f).requires_grad_();
  const torch::Tensor rounded = fake_quantize(x, step, {0, 3}, 0.25);
  expect_near(rounded, {0, 0, 0, 0, 0.5, 0.5, 1, 1.5});
  rounded.backward(torch::tensor({1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f, 8.0f}));
  expect_near(x.grad(), {0, 2, 3, 4, 5, 6, 7, 0});
  expect_near(step.grad(), {0.25f * 18.56f});
}

// 1.2 and -0.6 of 0.5: 1 - 1.2 and -1 + 0.6. 0.6 and -0.3 of 1: 1 - 0.6 and 0 + 0.3.
TEST(FakeQuantizeTest, GivesEachChannelItsStep) {
  const torch::Tensor x = torch::tensor({0.6f, -0.3f, 0.6f, -0.3f}).view({2, 1, 1, 2});
  const torch::Tensor steps = torch::tensor({0.5f, 1.0f}).requires_grad_();
  const torch::Tensor rounded = fake_quantize(x, steps, {-127, 127});
  expect_near(rounded, {0.5, -0.5, 1, 0});
  rounded.sum().backward();
  expect_near(steps.grad(), {-0.6f, 0.7f});
}

TEST(FakeQuantizeTest, TheLargestWeightOfAChannelHasAGradient) {
  const torch::Tensor weights = torch::tensor({1.27f, -1.27f, 1.29f}).requires_grad_();
  fake_quantize(weights, torch::tensor(0.01f), {-127, 127}).sum().backward();
  expect_near(weights.grad(), {1, 1, 0});
}

// Four weights on [-127, 127]; LSQ, section 2.2.
TEST(FakeQuantizeTest, ScalesAStepsGradientByHowManyShareIt) {
  EXPECT_DOUBLE_EQ(lsq_gradient_scale(4, {-127, 127}), 1 / std::sqrt(508.0));
}

}  // namespace
}  // namespace ridgewalk
