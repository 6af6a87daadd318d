#include "experiments/run/search_run.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <variant>

#include <gmock/gmock.h>

#include "roofline/latency.h"
#include "roofline/price.h"
#include "space/catalog.h"
#include "space/lowering.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

// As fast as `reference` at 0 MACs per byte, and as fast as `factor` of it at 500.
Reward two_targets(const Architecture& reference, double factor) {
  const Graph graph = lower(reference);
  return {.targets = {{.name = "low", .models = rooflines({{0}}), .latency = {latency(graph, {0})}},
                      {.name = "high",
                       .models = rooflines({{500}}),
                       .latency = {factor * latency(graph, {500})}}}};
}

std::vector<double> ratios_of(const Architecture& architecture, const Reward& reward) {
  return reward.ratios(prices(lower(architecture), reward.models()));
}

// The second target is half of what the reference takes there: at the width that meets the first
// it would be missed by a factor of two.
TEST(ScaleToLatency, MeetsTheTargetThatIsMissedByMost) {
  const Architecture small = find_architecture("mnv4-conv-small");
  const Reward reward = two_targets(small, 0.5);
  const std::vector<double> ratios = ratios_of(scale_to_latency(small, reward), reward);
  EXPECT_NEAR(*std::max_element(ratios.begin(), ratios.end()), 1, 0.03);
  EXPECT_LT(ratios[0], 0.9);
  EXPECT_EQ(scale_to_latency(small, two_targets(small, 1)).name, "mnv4-conv-small");
}

// Scaling rounds widths to eights, and 12 up to 16 even where it scales by 1.
TEST(ScaleToLatency, LeavesWhatMeetsTheTargetAsItIs) {
  const Architecture reference =
      load_architecture("experiments/configs/networks/quickstart-reference.yaml");
  EXPECT_EQ(to_yaml(scale_to_latency(reference, two_targets(reference, 1))), to_yaml(reference));
}

// The random networks of a search are of the space that its stages search: no attention.
TEST(RandomMembers, AreOfTheSearchedSpaceAndMeetEveryTarget) {
  SearchConfig config;
  config.space = load_search_space("fashion-mnist-small");
  config.random_tolerance = 0.1;
  const SearchSpace space = searched_space(config.space, SearchStage::kSingle, std::nullopt);
  std::mt19937_64 random(2);
  const Reward reward = two_targets(decode(space, sample(space, random)), 1);
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    config.seed = seed;
    for (Architecture network : random_members(config, reward, 5)) {
      for (double ratio : ratios_of(network, reward)) EXPECT_NEAR(ratio, 1, 0.1 + 1e-9);
      for (const auto& stage : network.stages) {
        for (const Block& block : stage) EXPECT_FALSE(std::holds_alternative<MobileMqa>(block));
      }
      network.name = std::to_string(seed);
      EXPECT_TRUE(seen.insert(to_yaml(network)).second) << "two are the same";
    }
  }
  EXPECT_EQ(random_members(config, reward, 2)[1].name, "random-02");
  config.space = search_space_from_yaml(
      "{name: tiny, resolution: 28, channels: 1, classes: 10, stem: {kernel: 3, stride: 1, "
      "width: [4, 8]}, stages: [{block: fused_ib, stride: 2, width: [8], depth: [1], "
      "expansion: [2]}], head: {width: 32, features: 32}}",
      "tiny.yaml");
  config.random_tolerance = 1;
  const Reward of_either = two_targets(decode(config.space, sample(config.space, random)), 1);
  EXPECT_EQ(random_members(config, of_either, 3).size(), 2u);
  require_random_members(config, of_either, 2);
  expect_error([&] { require_random_members(config, of_either, 3); }, "'tiny'",
               "has only 2 networks");
}

// A limit is kept where the target would be missed for it.
TEST(ScaleToLatency, ExceedsNoLimit) {
  const Architecture small = find_architecture("mnv4-conv-small");
  Reward reward = two_targets(small, 1);
  Target weights{.name = "weights",
                 .models = {resource_model(Resource::kWeights, DataType::kInt8)},
                 .latency = {}};
  weights.latency = {0.6 * price(lower(small), weights.models[0])};
  weights.is_limit = true;
  reward.targets.push_back(weights);
  const std::vector<double> ratios = ratios_of(scale_to_latency(small, reward), reward);
  EXPECT_LE(ratios[2], 1);
  EXPECT_LT(ratios[0], 0.9);
  // With limits alone: as near to the tightest as it gets.
  const Reward alone{.targets = {weights}};
  const double ratio = ratios_of(scale_to_latency(small, alone), alone)[0];
  EXPECT_LE(ratio, 1);
  EXPECT_GT(ratio, 0.8);
}

}  // namespace
}  // namespace ridgewalk
