#include "experiments/evidence/estimate.h"

#include <cmath>

#include <gtest/gtest.h>

#include "experiments/evidence/comparison.h"
#include "experiments/evidence/homes.h"
#include "experiments/evidence/ranking.h"
#include "space/catalog.h"

namespace ridgewalk {
namespace {

// 1, 2, 3: standard deviation 1; Student's t at 97.5 % with two degrees of freedom is 4.30265.
TEST(Estimate, IsTheMeanWithStudentsInterval) {
  const Estimate e = estimate({1, 2, 3});
  EXPECT_DOUBLE_EQ(e.mean, 2);
  EXPECT_NEAR(e.error, 1 / std::sqrt(3), 1e-12);
  EXPECT_NEAR(e.half, 4.30265 / std::sqrt(3), 1e-5);
  EXPECT_EQ(estimate_text(estimate_json(e), 10, 1), "20.0 ± 24.8");
}

// scipy 1.17.1: t.interval(0.95, 3, mean(x), sem(x)).
TEST(Estimate, IsScipys) {
  const Json json = estimate_json(estimate({0.9123, 0.9061, 0.9188, 0.9142}));
  EXPECT_NEAR(json["low"].get<double>(), 0.904475770835758, 1e-12);
  EXPECT_NEAR(json["high"].get<double>(), 0.9212242291642421, 1e-12);
}

// 0.1 three times has a mean a bit above 0.1, and a deviation that is rounding.
TEST(Estimate, OfEqualValuesHasNoInterval) {
  const Json equal = estimate_json(estimate({0.1, 0.1, 0.1}));
  EXPECT_TRUE(equal["low"].is_null());
  EXPECT_EQ(estimate_text(equal, 100, 1), "10.0");
  EXPECT_TRUE(paired_json({0.9 - 0.8, 0.7 - 0.6, 0.4 - 0.3}).is_null());
}

TEST(Estimate, OfOneValueHasNoInterval) {
  const Json one = estimate_json(estimate({0.5}));
  EXPECT_EQ(one["mean"], 0.5);
  EXPECT_TRUE(one["low"].is_null());
  EXPECT_EQ(estimate_text(one, 100, 1), "50.0");
  EXPECT_TRUE(paired_json({0.5}).is_null());
}

TEST(Estimate, OfDifferencesCountsStandardErrors) {
  const Json over = paired_json({0.01, 0.02, 0.03});
  EXPECT_NEAR(over["standard_errors"].get<double>(), 2 * std::sqrt(3), 1e-9);
  EXPECT_NEAR(over["low"].get<double>(), 0.02 - 0.0430265 / std::sqrt(3), 1e-7);
}

// Latency at ridge point 0 is the MACs, so the ratio there is theirs.
TEST(Abroad, PricesEveryHomeAtEveryRidgePoint) {
  const Architecture small = find_architecture("mnv4-conv-small");
  const Architecture medium = find_architecture("mnv4-conv-medium");
  const std::vector<MacsPerByte> points{{0}, {500}};
  const std::vector<Traveller> travellers{{"low", "one-stage", 1, medium, 0.7},
                                          {"low", "evolution", 1, medium, 0.9},
                                          {"low", "one-stage", 2, small, 0.5},
                                          {"high", "one-stage", 1, small, 0.4}};
  const Json abroad = abroad_json(travellers, small, points);
  ASSERT_EQ(abroad.size(), 3u);  // a way of a home each
  EXPECT_EQ(abroad[0]["networks"], 2);
  EXPECT_NEAR(abroad[0]["test_top1"]["mean"].get<double>(), 0.6, 1e-12);
  const double ratio =
      network_cost(lower(medium)).macs.value / network_cost(lower(small)).macs.value;
  EXPECT_NEAR(abroad[0]["relative_latency"][0]["mean"].get<double>(), (ratio + 1) / 2, 1e-9);
  EXPECT_EQ(abroad[1]["way"], "evolution");
  EXPECT_NEAR(abroad[1]["relative_latency"][0]["mean"].get<double>(), ratio, 1e-9);
  EXPECT_NEAR(abroad[2]["worst"]["mean"].get<double>(), 1, 1e-12);  // the reference itself
}

// Trainings of a network are averaged; one against another is a pair of its own. By hand: the means
// .5, .6, .7 are in the order of the shared accuracies, the first trainings in reverse of the
// second.
TEST(Ranking, AveragesTheTrainingsOfANetwork) {
  std::vector<RankedNetwork> networks(3);
  for (size_t i = 0; i < 3; ++i) {
    const double x = 0.1 * double(i);
    networks[i] = {.name = "n",
                   .shared_top1 = 0.2 + x,
                   .shared_loss = 1 - x,
                   .alone_top1 = {0.5 + x},
                   .alone_test = {0.5 - x, 0.5 + 3 * x},
                   .parameters = 1,
                   .macs = 1,
                   .of_target = {}};
  }
  const Json ranking = ranking_json(networks, 1);
  EXPECT_EQ(ranking["trainings"], 2);
  EXPECT_NEAR(ranking["pairs"][0]["kendall_tau_b"]["value"].get<double>(), 1, 1e-12);
  EXPECT_NEAR(ranking["pairs"].back()["kendall_tau_b"]["value"].get<double>(), -1, 1e-12);
  EXPECT_NEAR(ranking["regret"]["value"].get<double>(), 0, 1e-12);
}

// Three orders of four networks: Spearman 0.8, 0.8 and 0.6 by hand, 2.2 / 3 on average; the mean of
// three trainings then has a reliability of 2.2 / (1 + 2 * 2.2 / 3), whose root is 0.9444.
TEST(Ranking, SaysHowFarTrainingsAgreeAndWhatThatLeavesToAJudge) {
  const double orders[4][3] = {{1, 1, 2}, {2, 2, 1}, {3, 4, 3}, {4, 3, 4}};
  std::vector<RankedNetwork> networks(4);
  for (size_t i = 0; i < 4; ++i) {
    networks[i].alone_top1 = {0.5};
    for (double rank : orders[i]) networks[i].alone_test.push_back(0.1 * rank);
    networks[i].shared_top1 = i < 2 ? 0.5 : 0.7;
  }
  const Json ranking = ranking_json(networks, 1);
  const Json agreement = ranking["pairs"].back();
  EXPECT_EQ(agreement["alone"], "test top-1 of another");
  EXPECT_NEAR(agreement["spearman"]["value"].get<double>(), 2.2 / 3, 1e-9);
  EXPECT_NEAR(ranking["best_spearman"].get<double>(), 0.9444, 1e-4);
  // Means 4/3, 5/3, 10/3 and 11/3 tenths: the two that share the first place lack 1/60 on average.
  EXPECT_NEAR(ranking["regret"]["value"].get<double>(), 1.0 / 60, 1e-9);
}

// Networks of a seed share its luck: seeds of 0.6 and 0.7, deviation 0.0707, Student's t of one
// degree of freedom 12.706.
TEST(Contest, CountsTheRandomNetworksOfASeedOnce) {
  std::vector<Entry> entries;
  for (const auto& [seed, test] :
       std::vector<std::pair<uint64_t, double>>{{1, 0.5}, {1, 0.7}, {2, 0.6}, {2, 0.8}}) {
    entries.push_back(
        {.way = Way::kRandomNetworks,
         .seed = seed,
         .architecture = find_architecture("compact-nano"),
         .of_target = {1},
         .shared = {},
         .trained = {{"search_validation", {{"top1", test}}}, {"test", {{"top1", test}}}}});
  }
  const Json row = summary_json(entries)[0];
  EXPECT_EQ(row["networks"], 4);
  EXPECT_NEAR(row["scratch_test_top1"]["mean"].get<double>(), 0.65, 1e-12);
  EXPECT_NEAR(row["scratch_test_top1"]["low"].get<double>(), 0.65 - 12.7062 * 0.05, 1e-4);
}

}  // namespace
}  // namespace ridgewalk
