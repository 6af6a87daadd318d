#include "experiments/machine/calibration.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>

#include "roofline/latency.h"
#include "space/catalog.h"
#include "space/decisions.h"
#include "space/fold.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

std::set<std::string> kinds_of(const Architecture& architecture) {
  const Graph graph = fold_norms(lower(architecture)).graph;
  std::set<std::string> kinds;
  for (const Op& op : graph.ops) kinds.insert(law_kind(graph, op));
  return kinds;
}

// What `calibrate` draws by default has every kind of op of the catalogue and of the spaces'
// members.
TEST(CalibrationNetworks, HaveEveryKindOfOp) {
  std::set<std::string> known;
  for (const Architecture& network : calibration_networks(80, 0)) known.merge(kinds_of(network));
  std::vector<Architecture> wanted;
  for (const std::string& name : catalog_names()) wanted.push_back(find_architecture(name));
  std::mt19937_64 random(1);
  for (const std::string& name : built_in_spaces()) {
    const SearchSpace space = load_search_space(name);
    for (int i = 0; i < 30; ++i) wanted.push_back(decode(space, sample(space, random)));
  }
  for (const Architecture& network : wanted) {
    EXPECT_THAT(known, testing::IsSupersetOf(kinds_of(network))) << network.name;
  }
}

// "None of them used in calibration": also where `sweep --members` has the same seed.
TEST(CalibrationNetworks, AreNoneOfTheMembersOfTheSameSeed) {
  const SearchSpace space = load_search_space("mobile");
  const std::vector<Architecture> networks = calibration_networks(80, 1);
  std::mt19937_64 random(1);
  for (int i = 0; i < 200; ++i) {
    const Architecture member = decode(space, sample(space, random));
    EXPECT_THAT(networks, testing::Each(testing::Ne(member)));
  }
}

// Measured on a machine on which every MAC takes as long and nothing else takes any time.
TimedNetwork timed_by_macs(const Architecture& architecture, double seconds_per_mac) {
  TimedNetwork network{.graph = lower(architecture), .folded = {}, .timing = {}};
  network.folded = fold_norms(network.graph).graph;
  const std::vector<OpCost> costs = op_costs(network.folded);
  for (size_t op = 0; op < costs.size(); ++op) {
    if (costs[op].macs.value == 0) continue;
    const double seconds = seconds_per_mac * costs[op].macs.value;
    network.timing.steps.push_back({{"step", {int(op)}, "kernel"}, seconds});
    network.timing.median_seconds += seconds;
  }
  return network;
}

Profile test_profile() {
  Profile profile;
  profile.name = "test";
  profile.data_type = DataType::kFp32;
  profile.working_sets = {{1, {1e9, "test"}}};
  return profile;
}

// One network has kinds of op that no other has: laws of the others cannot know these, so that it,
// and it alone, is predicted too fast.
TEST(HeldOutAgreement, DoesNotSeeWhatItPredicts) {
  std::vector<TimedNetwork> networks;
  for (int i = 0; i < 16; ++i) {
    Architecture architecture = find_architecture(i == 5 ? "mnv4-conv-small" : "mobilenet-v1");
    architecture.resolution = 64 + 16 * i;
    networks.push_back(timed_by_macs(architecture, 1e-11));
  }
  const Agreement agreement = held_out_agreement(networks, test_profile());
  EXPECT_NEAR(agreement.within_5, 15. / 16, 1e-9);
}

// MobileNetV1, at each resolution on a machine as fast as given. Its pointwise convolutions.
OpLaw pointwise_law(const std::vector<std::pair<int, double>>& resolutions_and_seconds_per_mac) {
  std::vector<TimedNetwork> networks;
  for (const auto& [resolution, seconds_per_mac] : resolutions_and_seconds_per_mac) {
    Architecture architecture = find_architecture("mobilenet-v1");
    architecture.resolution = resolution;
    networks.push_back(timed_by_macs(architecture, seconds_per_mac));
  }
  for (const OpLaw& law :
       fit_op_laws(networks, DataType::kFp32, test_profile().read_bandwidths(), 10, 1)) {
    if (law.kind == "conv 1x1") return law;
  }
  ADD_FAILURE() << "no law for conv 1x1";
  return {};
}

TEST(FitOpLaws, GiveBackTheRateOfTheMachine) {
  const OpLaw law =
      pointwise_law({{96, 1e-11}, {128, 1e-11}, {160, 1e-11}, {192, 1e-11}, {224, 1e-11}});
  EXPECT_EQ(law.ops, 5 * 13);              // the network has 13 of them
  EXPECT_NEAR(law.gmacs.value(), 100, 1);  // 1e-11 s per MAC
  EXPECT_NEAR(law.overhead_us, 0, 0.01);
  EXPECT_LT(law.spread.rate.value_or(0), 1e-6);  // all resamples give the same
}

TEST(FitOpLaws, HaveTheSpreadOfTheirResamples) {
  const OpLaw law =
      pointwise_law({{96, 1e-11}, {128, 1.02e-11}, {160, 1e-11}, {192, 1.02e-11}, {224, 1e-11}});
  EXPECT_NEAR(law.gmacs.value(), 99, 1.5);
  ASSERT_TRUE(law.spread.rate.has_value());
  EXPECT_GT(*law.spread.rate, 0);
  EXPECT_LT(*law.spread.rate, 0.02);  // both rates lie that far apart
}

// A step's seconds are scaled so that the steps sum to the network's latency as a whole.
TEST(FitOpLaws, ScaleStepsToTheWholeNetwork) {
  TimedNetwork network = timed_by_macs(find_architecture("mobilenet-v1"), 1e-11);
  network.timing.median_seconds *= 2;
  const std::vector<OpLaw> laws =
      fit_op_laws({network}, DataType::kFp32, test_profile().read_bandwidths());
  const auto law = std::find_if(laws.begin(), laws.end(),
                                [](const OpLaw& one) { return one.kind == "conv 1x1"; });
  ASSERT_NE(law, laws.end());
  EXPECT_NEAR(law->gmacs.value(), 50, 1);
}

TEST(MedianPass, IsTheOneInTheMiddle) {
  const auto pass = [](double seconds, int runs) {
    return Timing{.median_seconds = seconds, .runs = runs};
  };
  EXPECT_EQ(median_pass({pass(3, 30), pass(1, 10), pass(2, 20)}).runs, 20);
  EXPECT_EQ(median_pass({pass(1, 10)}).runs, 10);
  EXPECT_EQ(median_pass({pass(2, 20), pass(1, 10)}).runs, 20);
}

// Latencies of a machine with a ridge point of 25 MACs per byte and a peak of 100 GMACs/s.
TEST(FitEffective, GivesBackTheMachine) {
  std::vector<TimedNetwork> networks;
  for (const std::string& name : catalog_names()) {
    TimedNetwork network{.graph = lower(find_architecture(name)), .folded = {}, .timing = {}};
    network.timing.median_seconds = 1e-11 * latency(network.graph, {25}, DataType::kFp32).value;
    networks.push_back(std::move(network));
  }
  Profile profile = test_profile();
  fit_effective(networks, "a test", profile);
  EXPECT_NEAR(profile.effective_ridge_point->value, 25, 0.25);
  EXPECT_NEAR(profile.effective_peak_gmacs->value, 100, 1);
  EXPECT_EQ(profile.effective_peak_gmacs->source, "a test");
}

}  // namespace
}  // namespace ridgewalk
