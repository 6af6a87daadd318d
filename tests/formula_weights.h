// Weights and images computed by a formula (tests/data/parity.json): the same in every language,
// and scaled so that signals neither vanish nor grow.
#pragma once

#include <cmath>
#include <vector>

#include "supernet/network/parameters.h"

namespace ridgewalk {

inline uint64_t splitmix64(uint64_t x) {
  uint64_t z = x + 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// u(k, i) of parity.json for every element i of tensor k.
inline torch::Tensor uniform(uint64_t k, const std::vector<int64_t>& shape) {
  torch::Tensor tensor = torch::empty(shape);
  float* values = tensor.data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = float(double(splitmix64((k << 32) + uint64_t(i)) >> 40) / 16777216.0 * 2 - 1);
  }
  return tensor;
}

inline void fill(ParameterStore& store) {
  uint64_t k = 0;
  for (const Parameter& parameter : store.parameters()) {
    torch::Tensor u = uniform(k++, parameter.shape);
    const double fan_in = double(parameter.elements()) / double(parameter.shape[0]);
    switch (parameter.role) {
      case ParameterRole::kWeight:
        u = (u.to(torch::kDouble) * std::sqrt(3 / fan_in)).to(torch::kFloat);
        break;
      case ParameterRole::kNormWeight:
      case ParameterRole::kRunningVar:
        u = 1 + 0.2 * u;
        break;
      case ParameterRole::kLayerScale:
        u = 0.5 + 0.2 * u;
        break;
      case ParameterRole::kBias:
      case ParameterRole::kNormBias:
      case ParameterRole::kRunningMean:
        u = 0.1 * u;
        break;
    }
    store.full(parameter.name).copy_(u);
  }
}

}  // namespace ridgewalk
