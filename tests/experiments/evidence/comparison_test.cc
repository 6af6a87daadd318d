#include "experiments/evidence/comparison.h"

#include <cmath>

#include <gmock/gmock.h>

#include "tests/experiments/evidence/networks.h"

namespace ridgewalk {
namespace {

NetworkRecord network_of(Way way, uint64_t seed, double test, double of_target = 1) {
  NetworkRecord network = trained_network("compact-nano", test, {test});
  network.origin = {.way = way, .seed = seed};
  network.of_target = {of_target, 0.5};  // of two targets the worse counts
  return network;
}

// Networks of a seed share its luck: seeds of 0.6 and 0.7, deviation 0.0707, Student's t of one
// degree of freedom 12.706.
TEST(Comparison, CountsTheRandomNetworksOfASeedOnce) {
  const std::vector<WaySummary> summary = summarize(
      {network_of(Way::kRandomNetworks, 1, 0.5), network_of(Way::kRandomNetworks, 1, 0.7),
       network_of(Way::kRandomNetworks, 2, 0.6), network_of(Way::kRandomNetworks, 2, 0.8)});
  ASSERT_EQ(summary.size(), 1u);
  EXPECT_EQ(summary[0].networks, 4u);
  const Estimate test = summary[0].figures.at(ComparedFigure::kTestTop1);
  EXPECT_NEAR(test.mean, 0.65, 1e-12);
  EXPECT_NEAR(test.low(), 0.65 - 12.7062 * 0.05, 1e-4);
  EXPECT_FALSE(summary[0].over_random);
}

// Differences are taken within a seed. Two-stage less random: 0.10 and 0.12, standard error 0.01;
// less one-stage: 0.02 and 0.04, at 0.1 and 0.3 of the target more.
TEST(Comparison, TakesDifferencesWithinASeed) {
  const std::vector<NetworkRecord> networks{
      network_of(Way::kRandomNetworks, 1, 0.5),  network_of(Way::kTwoStage, 1, 0.6, 1.1),
      network_of(Way::kOneStage, 1, 0.58, 1),    network_of(Way::kRandomNetworks, 2, 0.65),
      network_of(Way::kRandomNetworks, 2, 0.75), network_of(Way::kTwoStage, 2, 0.82, 1.2),
      network_of(Way::kOneStage, 2, 0.78, 0.9),  network_of(Way::kEvolution, 2, 0.9)};
  const std::vector<WaySummary> summary = summarize(networks);
  ASSERT_EQ(summary.size(), 4u);
  const WaySummary& two_stage = summary[0];
  EXPECT_EQ(two_stage.way, Way::kTwoStage);
  EXPECT_NEAR(two_stage.over_random->mean, 0.11, 1e-12);
  EXPECT_NEAR(two_stage.over_random->error, 0.01, 1e-12);
  EXPECT_NEAR(two_stage.over_one_stage->mean, 0.03, 1e-12);
  EXPECT_NEAR(two_stage.over_one_stage_of_target->mean, 0.2, 1e-12);
  EXPECT_NEAR(two_stage.figures.at(ComparedFigure::kOfTarget).mean, 1.15, 1e-12);
  EXPECT_FALSE(two_stage.figures.contains(ComparedFigure::kSharedTop1));
  // One seed of evolution: a mean without an interval, and no difference.
  EXPECT_EQ(summary[2].way, Way::kEvolution);
  EXPECT_TRUE(std::isnan(summary[2].figures.at(ComparedFigure::kTestTop1).half));
  EXPECT_FALSE(summary[2].over_random);

  const Json json = summary_json(summary);
  EXPECT_TRUE(json[0]["shared_search_validation_top1"].is_null());
  EXPECT_NEAR(json[0]["over_one_stage"]["of_target"]["points"].get<double>(), 0.2, 1e-12);
  EXPECT_NEAR(json[0]["over_random"]["standard_errors"].get<double>(), 11, 1e-9);
  EXPECT_FALSE(json[2].contains("over_random"));
  EXPECT_THAT(comparison_text(summary, networks), testing::HasSubstr("+11.00 (11.0 s.e.)"));
  EXPECT_EQ(compared_json(networks)[1]["of_target"], Json({1.1, 0.5}));
}

NetworkRecord random_of(uint64_t seed, double held_out, double test, double budget) {
  NetworkRecord network = trained_network("compact-nano", held_out, {test});
  network.origin = {.way = Way::kRandomNetworks, .seed = seed, .budget = Macs{budget}};
  return network;
}

NetworkRecord found_of(uint64_t seed, double test, double budget) {
  NetworkRecord network = network_of(Way::kOneStage, seed, test);
  network.origin.budget = Macs{budget};
  return network;
}

// Trainings of 8, 10 and 12: a budget of 29 buys two of them. Of the three pairs of (0.9, 0.5),
// (0.8, 0.7) and (0.6, 0.9), two have the first and one the second as its best by validation.
TEST(Comparison, BuysRandomNetworksForTheBudgetOfASearch) {
  std::vector<NetworkRecord> networks{random_of(1, 0.6, 0.9, 8), random_of(1, 0.9, 0.5, 10),
                                      random_of(1, 0.8, 0.7, 12), random_of(2, 1, 0, 1)};
  const auto best_for = [&](double budget) {
    return *best_random(found_of(1, 1, budget), networks);
  };
  EXPECT_EQ(best_for(29).count, 2);
  EXPECT_NEAR(best_for(29).test_top1, (0.5 + 0.5 + 0.7) / 3, 1e-12);
  EXPECT_EQ(best_for(19.9).count, 1);
  EXPECT_NEAR(best_for(19.9).test_top1, 0.7, 1e-12);  // the mean
  EXPECT_EQ(best_for(3).count, 1);
  EXPECT_EQ(best_for(30).count, 3);
  EXPECT_NEAR(best_for(30).test_top1, 0.5, 1e-12);
  EXPECT_EQ(best_for(70).count, 7);
  EXPECT_EQ(best_for(70).trained, 3);
  EXPECT_NEAR(best_for(70).test_top1, 0.5, 1e-12);
  EXPECT_EQ(best_random(networks[0], networks)->count, 3);
  EXPECT_FALSE(best_random(found_of(3, 1, 29), networks));
  EXPECT_FALSE(best_random(network_of(Way::kOneStage, 1, 1), networks));
}

// Seed 1: 0.9 less the better of two, 0.6; seed 2: 0.8 less the only one, 0.7. A mean of 0.2 with a
// standard error of 0.1.
TEST(Comparison, HoldsAWayAgainstTheBestRandomNetworkOfItsBudget) {
  const std::vector<NetworkRecord> networks{random_of(1, 0.5, 0.6, 10), random_of(1, 0.4, 0.8, 10),
                                            found_of(1, 0.9, 25), random_of(2, 0.5, 0.7, 10),
                                            found_of(2, 0.8, 39)};
  const std::vector<WaySummary> summary = summarize(networks);
  const AgainstBestRandom& against = *summary[0].against_best_random;
  EXPECT_EQ(summary[0].way, Way::kOneStage);
  EXPECT_NEAR(against.count.mean, 2.5, 1e-12);
  EXPECT_NEAR(against.test_top1.mean, 0.65, 1e-12);
  EXPECT_NEAR(against.difference.mean, 0.2, 1e-12);
  EXPECT_NEAR(against.difference.error, 0.1, 1e-12);
  EXPECT_EQ(against.most_lacking, 2);
  const Json json = summary_json(summary)[0]["best_random"];
  EXPECT_NEAR(json["over"]["standard_errors"].get<double>(), 2, 1e-9);
  const std::string text = comparison_text(summary, networks);
  EXPECT_THAT(text, testing::HasSubstr("+20.00 (2.0 s.e.)"));
  EXPECT_THAT(text, testing::HasSubstr("one-stage: 2 more --random-networks are needed"));
  EXPECT_EQ(compared_json(networks)[2]["budget_networks"], 2);
}

TEST(Comparison, SaysHowANetworkIsBuilt) {
  Architecture architecture{.name = "two", .stem = {.width = 8}};
  architecture.stages = {{Uib{.kernel1 = 3, .kernel2 = 0, .expanded = 16, .width = 8},
                          Uib{.kernel1 = 0, .kernel2 = 3, .expanded = 48, .width = 24}}};
  const Build build = build_of(architecture);
  EXPECT_EQ(build.uibs, 2);
  EXPECT_EQ(build.width, 16);     // of 8 and 24
  EXPECT_EQ(build.expansion, 4);  // of 16 / 8 and 48 / 8
}

}  // namespace
}  // namespace ridgewalk
