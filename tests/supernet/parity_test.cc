// Logits of timm 1.0.15 (executed) for weights and images that a formula gives:
// tests/data/parity.json.
#include <cmath>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "space/catalog.h"
#include "space/lowering.h"
#include "supernet/executor.h"

namespace ridgewalk {
namespace {

uint64_t splitmix64(uint64_t x) {
  uint64_t z = x + 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// u(k, i) of parity.json, for tensor k and all its elements.
torch::Tensor uniform(uint64_t k, const std::vector<int64_t>& shape) {
  torch::Tensor tensor = torch::empty(shape);
  float* values = tensor.data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = float(double(splitmix64((k << 32) + uint64_t(i)) >> 40) / 16777216.0 * 2 - 1);
  }
  return tensor;
}

void fill(ParameterStore& store) {
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

struct Case {
  std::string key, network;
  int resolution;
};

class Parity : public testing::TestWithParam<Case> {};

TEST_P(Parity, LogitsAreTimms) {
  at::set_num_threads(2);
  torch::NoGradGuard no_grad;
  std::ifstream stream("tests/data/parity.json");
  const auto expected = nlohmann::json::parse(stream).at(GetParam().key).at("logits");
  Architecture architecture = find_architecture(GetParam().network);
  architecture.resolution = GetParam().resolution;
  const Graph graph = lower(architecture);
  ParameterStore store(graph);
  fill(store);
  const Executor network(graph, store);
  const int64_t side = GetParam().resolution;
  for (auto format : {torch::MemoryFormat::Contiguous, torch::MemoryFormat::ChannelsLast}) {
    const auto image = uniform(0xFFFF, {1, 3, side, side}).contiguous(format);
    const auto logits = network.forward(image, NormMode::kRunning);
    const double tolerance = 1e-4 * expected.at("std").get<double>();
    for (int64_t i = 0; i < 8; ++i) {
      EXPECT_NEAR(logits[0][i].item<double>(), expected.at("first8")[size_t(i)].get<double>(),
                  tolerance);
    }
    EXPECT_NEAR(logits.mean().item<double>(), expected.at("mean").get<double>(), tolerance);
    EXPECT_NEAR(logits.abs().mean().item<double>(), expected.at("abs_mean").get<double>(),
                tolerance);
    EXPECT_EQ(logits.argmax().item<int64_t>(), expected.at("argmax").get<int64_t>());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Networks, Parity,
    testing::Values(Case{"mobilenetv4_conv_small@224", "mnv4-conv-small", 224},
                    Case{"mobilenetv4_hybrid_medium@224", "mnv4-hybrid-medium", 224},
                    Case{"mobilenetv4_hybrid_medium@256", "mnv4-hybrid-medium", 256}),
    [](const auto& test) {
      std::string name = test.param.key;
      std::replace(name.begin(), name.end(), '@', '_');
      return name;
    });

}  // namespace
}  // namespace ridgewalk
