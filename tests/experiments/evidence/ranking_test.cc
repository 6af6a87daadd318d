#include "experiments/evidence/ranking.h"

#include <cmath>
#include <map>

#include <gmock/gmock.h>

#include "experiments/run/csv.h"
#include "tests/experiments/evidence/networks.h"

namespace ridgewalk {
namespace {

NetworkRecord judged(double shared_top1, double shared_loss, double held_out,
                     const std::vector<double>& tests) {
  NetworkRecord network = trained_network("compact-nano", held_out, tests);
  network.shared_top1 = shared_top1;
  network.shared_loss = shared_loss;
  return network;
}

// Four networks in the orders 1 2 3 4 and 1 3 2 4: of six pairs five are concordant and one is
// discordant, tau-b is 4 / 6; Spearman is 1 - 6 * 2 / (4 * 15) = 0.8.
TEST(Ranking, ComparesTwoOrders) {
  const std::vector<NetworkRecord> networks{
      judged(0.1, 0.9, 0.5, {0.61}), judged(0.2, 0.8, 0.5, {0.63}), judged(0.3, 0.7, 0.5, {0.62}),
      judged(0.4, 0.6, 0.5, {0.64})};
  const Ranking ranking = rank(networks, 1);
  EXPECT_EQ(ranking.networks, 4u);
  EXPECT_EQ(ranking.trainings, 1u);
  const OrderAgreement& by_accuracy = ranking.pairs.at(0);
  EXPECT_NEAR(by_accuracy.kendall_tau_b.value, 4.0 / 6, 1e-12);
  EXPECT_NEAR(by_accuracy.spearman.value, 0.8, 1e-12);
  // The lower the loss the better: the same order.
  EXPECT_NEAR(ranking.pairs.at(2).kendall_tau_b.value, 4.0 / 6, 1e-12);
  // All have the same size and accuracy on held-out images, which order nothing.
  EXPECT_TRUE(std::isnan(ranking.pairs.at(1).spearman.value));
  EXPECT_TRUE(std::isnan(ranking.pairs.at(3).spearman.value));
  EXPECT_TRUE(ranking_json(ranking)["pairs"][3]["spearman"]["value"].is_null());
  // Mean 0.625; deviations 1.5, 0.5, 0.5 and 1.5 hundredths, over n - 1.
  EXPECT_NEAR(ranking.test_top1.mean, 0.625, 1e-12);
  EXPECT_NEAR(ranking.test_top1.deviation, std::sqrt(5e-4 / 3), 1e-12);
  EXPECT_EQ(ranking.test_top1.lowest, 0.61);
  EXPECT_EQ(ranking.test_top1.highest, 0.64);
  EXPECT_EQ(ranking.regret.value, 0);
  EXPECT_NEAR(ranking.regret_of_a_random_pick, 0.015, 1e-12);
  EXPECT_FALSE(ranking.best_spearman);
}

// In int8 trainings that were in the order 1 2 3 4 are in the order 4 2 3 1: of six pairs five are
// discordant. The supernet's order becomes 2 3 4 1: four of six agree with that, and three with the
// order in fp32.
TEST(Ranking, OfInt8StandsBesideThatOfFp32) {
  std::vector<NetworkRecord> networks{judged(0.1, 0.9, 0.5, {0.61}), judged(0.2, 0.8, 0.5, {0.62}),
                                      judged(0.3, 0.7, 0.5, {0.63}), judged(0.4, 0.6, 0.5, {0.64})};
  const size_t pairs = rank(networks, 1).pairs.size();
  const double rounded[] = {0.4, 0.2, 0.3, 0.1}, shared[] = {0.4, 0.1, 0.2, 0.3};
  for (size_t i = 0; i < 4; ++i) {
    networks[i].int8_test_top1 = {rounded[i] + 0.01, rounded[i] - 0.01};
    networks[i].shared_int8_top1 = shared[i];
  }
  std::map<std::string, double> taus;
  const Ranking ranking = rank(networks, 1);
  for (const OrderAgreement& pair : ranking.pairs) {
    taus[pair.shared + " | " + pair.alone] = pair.kendall_tau_b.value;
  }
  EXPECT_EQ(ranking.pairs.size(), pairs + 4);
  const std::string top1 = "search-validation top-1, shared", test = "test top-1 from scratch";
  EXPECT_NEAR(taus.at(top1 + " weights | " + test + ", int8"), -4.0 / 6, 1e-12);
  EXPECT_NEAR(taus.at(top1 + ", int8 | " + test + ", int8"), 2.0 / 6, 1e-12);
  EXPECT_NEAR(taus.at(top1 + ", int8 | " + test), 0, 1e-12);
  EXPECT_NEAR(taus.at(test + " | " + test + ", int8"), -4.0 / 6, 1e-12);
  EXPECT_EQ(ranked_json(networks)[0]["scratch_test_int8_top1"], 0.4);
  EXPECT_EQ(ranked_json(networks)[3]["shared_search_validation_int8_top1"], 0.3);
}

// Three networks are in one order in one of six cases by chance: 1.00 [1.00, 1.00] would be a lie.
TEST(Ranking, OfThreeNetworksIsWideAndSaysHow) {
  const Ranking ranking = rank(
      {judged(0.1, 0.9, 0.5, {0.61}), judged(0.2, 0.8, 0.6, {0.62}), judged(0.3, 0.7, 0.7, {0.63})},
      1);
  EXPECT_NEAR(ranking.pairs[0].kendall_tau_b.value, 1, 1e-12);
  EXPECT_NEAR(ranking.pairs[0].kendall_tau_b.interval.value().low, -0.95, 1e-9);
  EXPECT_FALSE(ranking.regret.interval);
  const Json tau = ranking_json(ranking)["pairs"][0]["kendall_tau_b"];
  EXPECT_EQ(tau["method"], "disjoint-pairs");
  const std::string text = ranking_text(ranking);
  EXPECT_THAT(text, testing::HasSubstr("1.00 [-0.95, 1.00]"));
  EXPECT_THAT(text, testing::HasSubstr("exact bound from disjoint pairs"));
  EXPECT_THAT(text, testing::HasSubstr("none from fewer than 8 networks"));
  EXPECT_THAT(text, testing::HasSubstr("is 0.00 points"));
}

// Trainings of a network are averaged; one against another is a pair of its own. By hand: the means
// .5, .6, .7 are in the order of the shared accuracies, the first trainings in reverse of the
// second.
TEST(Ranking, AveragesTheTrainingsOfANetwork) {
  std::vector<NetworkRecord> networks;
  for (double x : {0.0, 0.1, 0.2}) {
    networks.push_back(judged(0.2 + x, 1 - x, 0.5 + x, {0.5 - x, 0.5 + 3 * x}));
  }
  const Ranking ranking = rank(networks, 1);
  EXPECT_EQ(ranking.trainings, 2u);
  EXPECT_NEAR(ranking.pairs[0].kendall_tau_b.value, 1, 1e-12);
  EXPECT_NEAR(ranking.pairs.back().kendall_tau_b.value, -1, 1e-12);
  EXPECT_NEAR(ranking.regret.value, 0, 1e-12);
}

// Of networks that differ by luck alone there is no share of a perfect judge to print, and a proxy
// that is not a number for one of them is named.
TEST(Ranking, SaysWhatCannotBeJudged) {
  std::vector<NetworkRecord> networks;
  for (double x : {0.0, 0.1, 0.2, 0.3}) {
    networks.push_back(judged(0.2 + x, 1 - x, 0.5, {0.5 - x, 0.501 + 0.99 * x}));
    networks.back().proxies = {{"naswot", {x > 0 ? x : -INFINITY, 1}}, {"zen", {x, 1}}};
  }
  const Ranking ranking = rank(networks, 1);
  EXPECT_EQ(ranking.best_kendall, 0.0);
  const std::string text = ranking_text(ranking);
  EXPECT_THAT(text, testing::HasSubstr("differ by no more than the luck"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("nan")));
  EXPECT_THAT(text, testing::HasSubstr("naswot is left out"));
  EXPECT_EQ(ranking_json(ranking)["undefined_proxies"], Json({"naswot"}));
}

// Three orders of four networks: Spearman 0.8, 0.8 and 0.6 by hand, 2.2 / 3 on average; the mean of
// three trainings then has a reliability of 2.2 / (1 + 2 * 2.2 / 3), whose root is 0.9444.
TEST(Ranking, SaysHowFarTrainingsAgreeAndWhatThatLeavesToAJudge) {
  const double orders[4][3] = {{1, 1, 2}, {2, 2, 1}, {3, 4, 3}, {4, 3, 4}};
  std::vector<NetworkRecord> networks;
  for (size_t i = 0; i < 4; ++i) {
    std::vector<double> tests;
    for (double rank : orders[i]) tests.push_back(0.1 * rank);
    networks.push_back(judged(i < 2 ? 0.5 : 0.7, 1, 0.5, tests));
  }
  const Ranking ranking = rank(networks, 1);
  const OrderAgreement& agreement = ranking.pairs.back();
  EXPECT_EQ(agreement.alone, "test top-1 of another");
  EXPECT_NEAR(agreement.spearman.value, 2.2 / 3, 1e-9);
  EXPECT_NEAR(ranking.best_spearman.value(), 0.9444, 1e-4);
  // Means 4/3, 5/3, 10/3 and 11/3 tenths: the two that share the first place lack 1/60 on average.
  EXPECT_NEAR(ranking.regret.value, 1.0 / 60, 1e-9);
}

// A table that names each network twice knows as many networks as before: a perfect judge reaches
// what it did, and so do the figures.
TEST(Ranking, DoubledRowsLeaveAPerfectJudgeWhatItWas) {
  std::vector<NetworkRecord> once;
  for (int i = 0; i < 12; ++i) {
    const double own = 0.5 + 0.01 * ((7 * i) % 12), luck = 0.004 * ((5 * i) % 3 - 1);
    once.push_back(judged(0.3 + 0.01 * i, 1, 0.5, {own + luck, own - luck, own + 2 * luck}));
    once.back().architecture.name = "network-" + std::to_string(i);
  }
  std::vector<NetworkRecord> twice = once;
  RowsOfNetworks rows;
  for (size_t i = 0; i < once.size(); ++i) {
    twice.push_back(once[i]);
    twice.back().architecture.name += "-again";
    rows.push_back({i, once.size() + i});
  }
  const Ranking single = rank(once, 1), doubled = rank(twice, 1, rows);
  EXPECT_EQ(doubled.networks, 24u);
  EXPECT_EQ(doubled.draws, 12u);
  EXPECT_EQ(doubled.best_kendall, single.best_kendall);
  EXPECT_LT(*single.best_kendall, 1);
  EXPECT_NEAR(doubled.best_spearman.value(), single.best_spearman.value(), 1e-9);
  EXPECT_NEAR(doubled.pairs[0].kendall_tau_b.value, single.pairs[0].kendall_tau_b.value, 1e-9);
}

TEST(Ranking, WritesARowPerNetwork) {
  NetworkRecord network = judged(0.25, 1.5, 0.5, {0.5, 0.75});
  network.architecture.name = "a, b";
  network.of_target = {0.875, 2};
  const NetworkCost cost = network_cost(lower(network.architecture));
  const Json row = ranked_json({network})[0];
  EXPECT_EQ(row["parameters"], cost.parameters);
  EXPECT_EQ(row["macs"], cost.macs.value);
  EXPECT_EQ(row["scratch_test_top1"], 0.625);
  const std::string csv = csv_table(ranked_json({network}));
  EXPECT_THAT(csv,
              testing::StartsWith("network,parameters,macs,of_target,shared_search_validation_top1,"
                                  "shared_search_validation_loss,scratch_search_validation_top1,"
                                  "scratch_test_top1\n\"a, b\","));
  EXPECT_THAT(csv, testing::EndsWith(",0.875,0.25,1.5,0.5,0.625\n"));
}

}  // namespace
}  // namespace ridgewalk
