// The arithmetic of optimisers: one pass over values, gradients and moments.
#pragma once

#include <cstdint>

namespace ridgewalk {

// The numbers of a step. `shrink` multiplies values whose weight decays; `scale` multiplies
// gradients.
struct UpdateFactors {
  double rate = 0, shrink = 1, scale = 1;
  double momentum = 0, decay = 0, epsilon = 0;
  double bias1 = 1, bias2 = 1;  // AdamW: what the moments are divided by
};

// A part of the flat tensors. `decays` says where weight decay applies; null: nowhere.
struct UpdatePart {
  float* values = nullptr;
  float* grads = nullptr;  // zero afterwards
  float* first = nullptr;
  float* second = nullptr;
  const bool* decays = nullptr;
  int64_t count = 0;
};

void update_sgd(const UpdateFactors& factors, const UpdatePart& part);
void update_rms_prop(const UpdateFactors& factors, const UpdatePart& part);
void update_adam_w(const UpdateFactors& factors, const UpdatePart& part);

}  // namespace ridgewalk
