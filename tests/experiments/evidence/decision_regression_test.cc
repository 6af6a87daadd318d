#include "experiments/evidence/decision_regression.h"

#include <random>

#include <gtest/gtest.h>

#include "roofline/statistics.h"

namespace ridgewalk {
namespace {

RowsOfNetworks each_by_itself(size_t networks) {
  RowsOfNetworks rows;
  for (size_t i = 0; i < networks; ++i) rows.push_back({i});
  return rows;
}

const std::vector<Decisions> kNetworks = {{0, 0, 0}, {1, 0, 1}, {0, 1, 1}, {1, 1, 0}, {0, 2, 0},
                                          {1, 2, 1}, {0, 0, 1}, {1, 1, 1}, {0, 2, 1}, {1, 0, 0}};
const std::vector<double> kValues = {0.60, 0.71, 0.66, 0.74, 0.63, 0.81, 0.64, 0.77, 0.69, 0.70};

// By NumPy: for each network the normal equations of the other nine over all seven options, with
// the penalty of the least n RSS / (n - df)^2 among 10^-4, 10^-3.5 ... 10^3 times the mean size of
// the options' spread.
TEST(DecisionRegression, IsThatOfTheNormalEquations) {
  const std::vector<double> expected = {-0.106697, 0.05567,   -0.018026, 0.028756,  -0.025001,
                                        0.075701,  -0.071145, 0.075135,  -0.010515, -0.000761};
  const auto scores = regression_on_others(kNetworks, kValues, each_by_itself(10));
  for (size_t i = 0; i < 10; ++i) EXPECT_NEAR(scores[i], expected[i], 1e-6) << i;
}

// The same network under two names is no witness of itself: whatever its value, its score is that
// of the other nine.
TEST(DecisionRegression, LeavesOutANetworkUnderAllItsNames) {
  std::vector<Decisions> networks = kNetworks;
  networks.push_back(kNetworks[0]);
  RowsOfNetworks rows = each_by_itself(10);
  rows[0].push_back(10);
  const auto score = [&](double value, const RowsOfNetworks& known) {
    std::vector<double> values = kValues;
    values.push_back(value);
    values[0] = value;
    const std::vector<double> scores = regression_on_others(networks, values, known);
    if (known.size() == rows.size()) {
      EXPECT_NEAR(scores[0], scores[10], 1e-12);
    }
    return scores[0];
  };
  EXPECT_NEAR(score(0.6, rows), score(0.9, rows), 1e-9);
  EXPECT_GT(score(0.9, each_by_itself(11)), score(0.6, each_by_itself(11)) + 0.01);
}

// 60 networks of six choices: values that add up over the options are ordered as they are, and of
// values by chance nothing is known: their tau is about 0 or a little less, as always where each is
// predicted by the others. Predictions that held the mean of the others would order them in
// reverse, with a tau of -1.
TEST(DecisionRegression, KnowsWhatAddsUpAndNothingOfChance) {
  std::mt19937_64 random(4);
  std::normal_distribution<double> normal;
  std::vector<double> by_chance;
  for (int draw = 0; draw < 40; ++draw) {
    std::vector<Decisions> networks;
    std::vector<double> sums, chance;
    double effects[6][3];
    for (auto& choice : effects) {
      for (double& option : choice) option = normal(random);
    }
    for (int i = 0; i < 60; ++i) {
      Decisions decisions;
      double sum = 0;
      for (const auto& choice : effects) {
        decisions.push_back(int(random() % 3));
        sum += choice[decisions.back()];
      }
      networks.push_back(decisions);
      sums.push_back(sum);
      chance.push_back(normal(random));
    }
    const auto rows = each_by_itself(60);
    EXPECT_GT(kendall_tau_b(regression_on_others(networks, sums, rows), sums), 0.99);
    by_chance.push_back(kendall_tau_b(regression_on_others(networks, chance, rows), chance));
  }
  EXPECT_GT(mean(by_chance), -0.2);
  EXPECT_LT(mean(by_chance), 0.1);
}

}  // namespace
}  // namespace ridgewalk
