#include "supernet/kernels/optimizer_kernel.h"

#include <cmath>

#include "supernet/kernels/each_cpu.h"

namespace ridgewalk {
namespace {

// Calls update(value, gradient, place) for each number.
template <class Update>
RIDGEWALK_INLINE void each(const UpdateFactors& factors, const UpdatePart& part, Update update) {
  float* __restrict values = part.values;
  float* __restrict grads = part.grads;
  const auto shrink = float(factors.shrink), scale = float(factors.scale);
  // Of bytes and products, even with 1, compilers make vectors; of bools and branches they do not.
  if (const auto* __restrict decays = reinterpret_cast<const uint8_t*>(part.decays)) {
    for (int64_t i = 0; i < part.count; ++i) {
      const float value = values[i] * (decays[i] != 0 ? shrink : 1.0F);
      values[i] = update(value, grads[i] * scale, i);
      grads[i] = 0;
    }
  } else {
    for (int64_t i = 0; i < part.count; ++i) {
      values[i] = update(values[i], grads[i] * scale, i);
      grads[i] = 0;
    }
  }
}

}  // namespace

RIDGEWALK_EACH_CPU void update_sgd(const UpdateFactors& factors, const UpdatePart& part) {
  float* __restrict first = part.first;
  const auto rate = float(factors.rate), momentum = float(factors.momentum);
  const auto ahead = float(factors.rate * factors.momentum);
  each(factors, part, [=](float value, float g, int64_t i) __attribute__((always_inline)) {
    first[i] = first[i] * momentum + g;
    return value - rate * g - ahead * first[i];
  });
}

RIDGEWALK_EACH_CPU void update_rms_prop(const UpdateFactors& factors, const UpdatePart& part) {
  float* __restrict first = part.first;
  float* __restrict second = part.second;
  const auto rate = float(factors.rate), momentum = float(factors.momentum);
  const auto decay = float(factors.decay), fresh = float(1 - factors.decay);
  const auto epsilon = float(factors.epsilon);
  each(factors, part, [=](float value, float g, int64_t i) __attribute__((always_inline)) {
    second[i] = second[i] * decay + fresh * g * g;
    first[i] = first[i] * momentum + rate * g / std::sqrt(second[i] + epsilon);
    return value - first[i];
  });
}

RIDGEWALK_EACH_CPU void update_adam_w(const UpdateFactors& factors, const UpdatePart& part) {
  float* __restrict first = part.first;
  float* __restrict second = part.second;
  const auto momentum = float(factors.momentum), fresh_first = float(1 - factors.momentum);
  const auto decay = float(factors.decay), fresh = float(1 - factors.decay);
  const auto step = float(factors.rate / factors.bias1), bias2 = float(factors.bias2);
  const auto epsilon = float(factors.epsilon);
  each(factors, part, [=](float value, float g, int64_t i) __attribute__((always_inline)) {
    first[i] = first[i] * momentum + fresh_first * g;
    second[i] = second[i] * decay + fresh * g * g;
    return value - step * first[i] / (std::sqrt(second[i] / bias2) + epsilon);
  });
}

}  // namespace ridgewalk
