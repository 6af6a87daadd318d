// Compared with the stage outputs and logits of timm 1.0.15 for weights and images computed by a
// formula: tests/data/parity.json.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "space/catalog.h"
#include "space/json.h"
#include "space/lowering.h"
#include "supernet/network/executor.h"
#include "tests/formula_weights.h"
#include "tests/test_name.h"

namespace ridgewalk {
namespace {

struct Case {
  std::string key, network;
  int resolution;
};

// "conv_stem", "act1" ... -> "stem"; "blocks.2.5.add" -> "blocks.2"; the classifier -> "logits".
std::string place_of(const std::string& op) {
  if (op.starts_with("blocks.")) return op.substr(0, op.find('.', 7));
  if (op == "classifier") return "logits";
  return op == "act1" ? "stem" : "";
}

class Parity : public testing::TestWithParam<Case> {
 protected:
  // The largest difference from what is known of timm's tensor at this place: its first values,
  // last value, mean and mean absolute value.
  static double difference(const torch::Tensor& tensor, const nlohmann::json& expected) {
    EXPECT_EQ(tensor.sizes().vec(), expected.at("shape").get<std::vector<int64_t>>());
    const auto flat = tensor.contiguous().flatten().to(torch::kDouble);
    const auto first = expected.at(expected.contains("first8") ? "first8" : "first4");
    double worst = std::abs(flat[-1].item<double>() - expected.at("last").get<double>());
    for (size_t i = 0; i < first.size(); ++i) {
      worst = std::max(worst, std::abs(flat[int64_t(i)].item<double>() - first[i].get<double>()));
    }
    const double mean = flat.mean().item<double>() - expected.at("mean").get<double>();
    const double size = flat.abs().mean().item<double>() - expected.at("abs_mean").get<double>();
    return std::max({worst, std::abs(mean), std::abs(size)});
  }
};

TEST_P(Parity, EveryStageAndTheLogitsAreTimms) {
  at::set_num_threads(2);
  at::NoGradGuard no_grad;
  std::ifstream stream("tests/data/parity.json");
  const auto expected = nlohmann::json::parse(stream).at(GetParam().key);
  Architecture architecture = find_architecture(GetParam().network);
  architecture.resolution = GetParam().resolution;
  const Graph graph = lower(architecture);
  ParameterStore store(graph);
  fill(store);
  Executor network(graph, store);
  const double deviation = expected.at("logits").at("std").get<double>();
  const int64_t side = GetParam().resolution;
  for (auto format : {torch::MemoryFormat::Contiguous, torch::MemoryFormat::ChannelsLast}) {
    std::map<std::string, torch::Tensor> outputs;  // of the last op at each place
    network.observe(
        [&](const Op& op, const torch::Tensor& output) { outputs[place_of(op.name)] = output; });
    const auto image = uniform(0xFFFF, {1, 3, side, side}).contiguous(format);
    const auto logits = network.forward(image, NormMode::kRunning);
    double worst = 0;
    for (const auto& [place, values] : expected.items()) {
      ASSERT_TRUE(outputs.contains(place)) << place;
      const double difference = Parity::difference(outputs[place], values) / deviation;
      EXPECT_LT(difference, 1e-4) << place;
      worst = std::max(worst, difference);
    }
    EXPECT_EQ(logits.argmax().item<int64_t>(), expected.at("logits").at("argmax").get<int64_t>());
    std::printf("%s: worst difference %.2g of the logits' standard deviation\n",
                GetParam().key.c_str(), worst);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Networks, Parity,
    testing::Values(Case{"mobilenetv4_conv_small@224", "mnv4-conv-small", 224},
                    Case{"mobilenetv4_hybrid_medium@224", "mnv4-hybrid-medium", 224},
                    Case{"mobilenetv4_hybrid_medium@256", "mnv4-hybrid-medium", 256}),
    [](const auto& test) { return test_name(test.param.key); });

}  // namespace
}  // namespace ridgewalk
