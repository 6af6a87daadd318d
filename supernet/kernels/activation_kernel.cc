#include "supernet/kernels/activation_kernel.h"

#include "supernet/kernels/each_cpu.h"

namespace ridgewalk {
namespace {

// e^x to about the last bit, without branches, so that loops become vectors: 2^n times a Taylor
// polynomial of what is left, which is at most ln 2 / 2. x beyond what fp32 holds is cut off.
RIDGEWALK_INLINE float exponential(float x) {
  constexpr float kLeast = -87.3F, kMost = 88.3F;
  constexpr float kRounder = 0x1.8p23F;  // added, it leaves an integer in the lower bits
  constexpr float kLog2E = 0x1.715476p0F, kLn2 = 0x1.62e400p-1F, kLn2Rest = 0x1.7f7d1cp-20F;
  x = x < kLeast ? kLeast : x;
  x = x > kMost ? kMost : x;
  const float shifted = x * kLog2E + kRounder, n = shifted - kRounder;
  const float rest = (x - n * kLn2) - n * kLn2Rest;
  float sum = 1.0F / 5040;
  sum = sum * rest + 1.0F / 720;
  sum = sum * rest + 1.0F / 120;
  sum = sum * rest + 1.0F / 24;
  sum = sum * rest + 1.0F / 6;
  sum = sum * rest + 0.5F;
  sum = sum * rest + 1;
  sum = sum * rest + 1;
  const uint32_t power = (std::bit_cast<uint32_t>(shifted) << 23) + 0x3f800000;
  return sum * std::bit_cast<float>(power);
}

RIDGEWALK_INLINE float logistic(float x) { return 1 / (1 + exponential(-x)); }

// The normal distribution up to x: Abramowitz and Stegun, 7.1.26, to 1.5e-7; `density` is e^(-x^2 /
// 2).
RIDGEWALK_INLINE float normal(float x, float density) {
  const float size = x < 0 ? -x : x;
  const float t = 1 / (1 + 0.3275911F * 0.70710678F * size);
  float sum = 1.061405429F;
  sum = sum * t - 1.453152027F;
  sum = sum * t + 1.421413741F;
  sum = sum * t - 0.284496736F;
  sum = sum * t + 0.254829592F;
  const float tail = 0.5F * sum * t * density;
  return x < 0 ? tail : 1 - tail;
}

template <Activation kActivation>
RIDGEWALK_INLINE float value(float x) {
  if constexpr (kActivation == Activation::kRelu) return x < 0 ? 0 : x;
  if constexpr (kActivation == Activation::kRelu6) {
    const float positive = x < 0 ? 0 : x;
    return positive > 6 ? 6 : positive;
  }
  if constexpr (kActivation == Activation::kHardSwish) {
    const float raised = x + 3 < 0 ? 0 : x + 3;
    return x * (raised > 6 ? 6 : raised) / 6;
  }
  if constexpr (kActivation == Activation::kSilu) return x * logistic(x);
  if constexpr (kActivation == Activation::kGelu) {
    return x * normal(x, exponential(-0.5F * x * x));
  }
  return x;
}

template <Activation kActivation>
RIDGEWALK_INLINE float derivative(float x) {
  if constexpr (kActivation == Activation::kRelu) return x <= 0 ? 0 : 1;
  if constexpr (kActivation == Activation::kRelu6) return x < 0 || x > 6 ? 0 : 1;
  if constexpr (kActivation == Activation::kHardSwish) {
    const float inside = x > 3 ? 1 : x / 3 + 0.5F;
    return x < -3 ? 0 : inside;
  }
  if constexpr (kActivation == Activation::kSilu) {
    const float s = logistic(x);
    return s * (1 + x * (1 - s));
  }
  if constexpr (kActivation == Activation::kGelu) {
    const float density = exponential(-0.5F * x * x);
    return normal(x, density) + x * density * 0.39894228F;
  }
  return 1;
}

template <Activation kActivation, class T>
RIDGEWALK_INLINE void values(const T* __restrict x, int64_t count, T* __restrict y) {
  for (int64_t i = 0; i < count; ++i) store(value<kActivation>(to_float(x[i])), y[i]);
}

template <Activation kActivation, class T>
RIDGEWALK_INLINE void gradients(const T* __restrict g, const T* __restrict x, int64_t count,
                                T* __restrict of_x) {
  for (int64_t i = 0; i < count; ++i) {
    store(to_float(g[i]) * derivative<kActivation>(to_float(x[i])), of_x[i]);
  }
}

}  // namespace

#define RIDGEWALK_FOR_ACTIVATION(FUNCTION, ...)             \
  switch (activation) {                                     \
    case Activation::kNone:                                 \
      return FUNCTION<Activation::kNone>(__VA_ARGS__);      \
    case Activation::kRelu:                                 \
      return FUNCTION<Activation::kRelu>(__VA_ARGS__);      \
    case Activation::kRelu6:                                \
      return FUNCTION<Activation::kRelu6>(__VA_ARGS__);     \
    case Activation::kHardSwish:                            \
      return FUNCTION<Activation::kHardSwish>(__VA_ARGS__); \
    case Activation::kSilu:                                 \
      return FUNCTION<Activation::kSilu>(__VA_ARGS__);      \
    case Activation::kGelu:                                 \
      return FUNCTION<Activation::kGelu>(__VA_ARGS__);      \
  }
#define RIDGEWALK_ACTIVATIONS(T)                                                                \
  RIDGEWALK_EACH_CPU void activate_row(Activation activation, const T* x, int64_t count,        \
                                       T* y){RIDGEWALK_FOR_ACTIVATION(                          \
      values, x, count,                                                                         \
      y)} RIDGEWALK_EACH_CPU void activation_gradient_row(Activation activation, const T* g,    \
                                                          const T* x, int64_t count, T* of_x) { \
    RIDGEWALK_FOR_ACTIVATION(gradients, g, x, count, of_x)                                      \
  }
RIDGEWALK_ACTIVATIONS(float)
RIDGEWALK_ACTIVATIONS(Bf16)

}  // namespace ridgewalk
