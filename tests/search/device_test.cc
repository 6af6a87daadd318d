// What a device is changes what is found for it.
#include <set>

#include <gtest/gtest.h>

#include "roofline/price.h"
#include "search/candidates.h"
#include "search/fake_weights.h"
#include "tests/search/tiny_space.h"

namespace ridgewalk {
namespace {

// The best of all networks of the space in `milliseconds` on a device, where accuracy grows with
// every width, depth and kernel.
Architecture found_for(const LatencyModel& device, double milliseconds) {
  const SearchSpace space = tiny_space();
  const Reward reward{.beta = -1,
                      .targets = {{.name = "device",
                                   .models = {device},
                                   .latency = {{1e-3 * milliseconds * device.peak.value}}}}};
  const CostTable table(space, reward.models());
  Decisions largest;
  for (const Choice& choice : choices(space)) largest.push_back(int(choice.options.size()) - 1);
  FakeWeights weights(space, largest);
  const Trial trial{space, table, reward, weights};
  std::mt19937_64 random(1);
  std::set<Decisions> all;
  for (int i = 0; i < 20000; ++i) all.insert(sample(space, random));
  EXPECT_EQ(all.size(), 120u);
  std::vector<Candidate> tried;
  for (const Decisions& decisions : all) tried.push_back(trial(decisions));
  return decode(space, std::min_element(tried.begin(), tried.end(), is_better)->decisions);
}

double depthwise_share(const Architecture& architecture) {
  const Graph graph = lower(architecture);
  const std::vector<OpCost> costs = op_costs(graph);
  double depthwise = 0;
  for (size_t i = 0; i < costs.size(); ++i) {
    if (graph.ops[i].kind == OpKind::kDepthwise) depthwise += costs[i].macs.value;
  }
  return depthwise / network_cost(graph).macs.value;
}

double ms(const Architecture& architecture, const LatencyModel& device) {
  return 1e3 * (price(lower(architecture), device) / device.peak).value;
}

// On phones' CPUs a depthwise MAC costs some five dense ones. A search that does not know it finds
// large kernels, which take 2.4 times as long as was asked; one that does finds smaller ones and
// meets the target.
TEST(Device, ADearDepthwiseMacBuysSmallerKernels) {
  const LatencyModel plain{.ridge_point = {1.2}, .peak = {7.6e9}, .data_type = DataType::kFp32};
  LatencyModel phone = plain;
  phone.depthwise_cost = 5;
  const double target = ms(decode(tiny_space(), decisions_of(tiny_space(), 1)), phone) * 1.5;
  const Architecture blind = found_for(plain, target), knowing = found_for(phone, target);
  EXPECT_NE(blind, knowing);
  EXPECT_LT(depthwise_share(knowing), 0.8 * depthwise_share(blind));
  EXPECT_GT(ms(blind, phone) / target, 1.25);
  EXPECT_NEAR(ms(knowing, phone) / target, 1, 0.1);
}

// Each device at the width of its own elements, in one search.
TEST(Device, TargetsOfSeveralDataTypesArePricedEachAtItsOwn) {
  const SearchSpace space = tiny_space();
  const Graph graph = lower(decode(space, decisions_of(space, 1)));
  const std::vector<LatencyModel> models{{.ridge_point = {20}},
                                         {.ridge_point = {20}, .data_type = DataType::kFp32}};
  Reward reward;
  for (const LatencyModel& model : models) {
    reward.targets.push_back({.name = "", .models = {model}, .latency = {price(graph, model)}});
  }
  const CostTable table(space, reward.models());
  for (double ratio : reward.ratios(table.price(decisions_of(space, 1)))) EXPECT_EQ(ratio, 1);
  EXPECT_GT(reward.targets[1].latency[0] / reward.targets[0].latency[0], 2);
}

// A machine that takes 1.3 times as long as its laws say takes so long for the reference, too: a
// share of its latency stays that share, milliseconds and limits are missed by 1.3 times as much.
// Other devices and other resources do not change.
TEST(Device, ThatIsSlowerThanItsLawsKeepsRelativeTargets) {
  const Profile profile = load_profile("epyc-zen5-1-thread");
  const SearchSpace space = load_search_space("fashion-mnist");
  std::mt19937_64 random(3);
  const auto member = [&] { return lower(decode(space, sample(space, random))); };
  const LatencyModel laws = latency_model(profile), plain{.ridge_point = {31.2}};
  const Graph reference = member();
  const auto target = [&](const LatencyModel& model, bool is_relative) {
    Target made{.name = "target",
                .models = {model},
                .latency = {0.7 * price(reference, model)},
                .is_relative = is_relative};
    if (!model.laws.empty()) made.profile = profile;
    return made;
  };
  const Reward reward{.targets = {target(laws, true), target(laws, false), target(plain, true)}};
  const Reward slower = reward.slowed(profile.name, 1.3);
  for (int i = 0; i < 20; ++i) {
    const Graph network = member();
    const auto before = reward.ratios(prices(network, reward.models()));
    const auto after = slower.ratios(prices(network, slower.models()));
    EXPECT_NEAR(after[0], before[0], 1e-6 * before[0]);
    EXPECT_NEAR(after[1], 1.3 * before[1], 1e-6 * before[1]);
    EXPECT_EQ(after[2], before[2]);
  }
  EXPECT_EQ(reward.slowed("another", 1.3).ratios(prices(reference, reward.models())),
            reward.ratios(prices(reference, reward.models())));
}

}  // namespace
}  // namespace ridgewalk
