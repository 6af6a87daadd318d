#include "roofline/statistics.h"

#include <cmath>
#include <random>

#include "tests/helpers.h"

namespace ridgewalk {
namespace {

TEST(Ranks, ShareTheMeanAmongEqualValues) {
  EXPECT_EQ(ranks(std::vector{30.0, 10.0, 20.0, 10.0}), (std::vector{4.0, 1.5, 3.0, 1.5}));
}

// Worked by hand: d = (0, 1, 1, 0), rho = 1 - 6 * 2 / (4 * 15).
TEST(Spearman, IsTheTextbookValue) {
  EXPECT_NEAR(spearman(std::vector{1.0, 2.0, 3.0, 4.0}, std::vector{5.0, 7.0, 6.0, 9.0}), 0.8,
              1e-15);
  EXPECT_TRUE(std::isnan(spearman(std::vector{1.0, 2.0}, std::vector{3.0, 3.0})));
}

// scipy 1.11: kendalltau([12, 2, 1, 12, 2], [1, 4, 7, 1, 0]) = -0.4714045207910316.
TEST(KendallTauB, CountsTiesAsScipyDoes) {
  EXPECT_NEAR(
      kendall_tau_b(std::vector{12.0, 2.0, 1.0, 12.0, 2.0}, std::vector{1.0, 4.0, 7.0, 1.0, 0.0}),
      -0.4714045207910316, 1e-15);
}

// scipy 1.17.1: spearmanr(a, b) and kendalltau(a, b), of ten networks with ties on both sides.
TEST(RankCorrelations, AreScipysWithTies) {
  const std::vector<double> a = {2.4, 2.4, 4.2, 5.4, 7.5, 8.6, 9.9, 20.4, 3.8, 4.2};
  const std::vector<double> b = {0.7, 0.8, 0.8, 0.9, 1.0, 1.6, 0.7, 1.3, 2.4, 1.0};
  EXPECT_NEAR(spearman(a, b), 0.25846276195679857, 1e-14);
  EXPECT_NEAR(kendall_tau_b(a, b), 0.23531040266750586, 1e-14);
}

TEST(KendallTauB, EqualsTheCountOverAllPairs) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    const size_t n = 2 + random() % 30;
    std::vector<double> a(n), b(n);
    for (size_t i = 0; i < n; ++i) a[i] = double(random() % 8), b[i] = double(random() % 8);
    double sum = 0, pairs_a = 0, pairs_b = 0;
    const auto sign = [](double x) { return (x > 0) - (x < 0); };
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i + 1; j < n; ++j) {
        sum += sign(a[i] - a[j]) * sign(b[i] - b[j]);
        pairs_a += a[i] != a[j];
        pairs_b += b[i] != b[j];
      }
    }
    if (pairs_a == 0 || pairs_b == 0) {
      EXPECT_TRUE(std::isnan(kendall_tau_b(a, b)));
    } else {
      EXPECT_NEAR(kendall_tau_b(a, b), sum / std::sqrt(pairs_a * pairs_b), 1e-12);
    }
  }
}

TEST(Quantile, IsLinearBetweenNeighbours) {
  EXPECT_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_EQ(quantile({4, 1, 3, 2}, 1), 4);
  EXPECT_EQ(quantile({7}, 0.3), 7);
}

TEST(Agreement, CountsSharesWithinTheirLimits) {
  const Agreement found =
      agreement(std::vector{1.04, 0.91, 1.19, 2.0}, std::vector{1.0, 1.0, 1.0, 1.0});
  EXPECT_EQ(found.within_5, 0.25);
  EXPECT_EQ(found.within_10, 0.5);
  EXPECT_EQ(found.within_20, 0.75);
  EXPECT_NEAR(found.mean_error, (0.04 + 0.09 + 0.19 + 1) / 4, 1e-12);
  EXPECT_NEAR(found.median_error, 0.14, 1e-12);
}

// By hand: quartiles of 1..5 are 2 and 4, the median 3.
TEST(RelativeSpread, IsTheInterquartileRangeOverTheMedian) {
  EXPECT_NEAR(relative_spread({5, 1, 4, 2, 3}), 2. / 3, 1e-12);
  EXPECT_EQ(relative_spread({7}), 0);
}

// By hand: ratios 1/2 and 2 give (1/2 + 2) / (1/4 + 4).
TEST(BestFactor, MinimisesTheRelativeError) {
  const std::vector<double> predicted = {1, 4}, measured = {2, 2};
  EXPECT_NEAR(best_factor(predicted, measured), 2.5 / 4.25, 1e-12);
  const std::vector<double> nothing = {0, 0};
  EXPECT_EQ(best_factor(nothing, measured), 0);
}

TEST(FourDigits, AreKeptAndNoMore) {
  EXPECT_EQ(four_digits(119.8049), 119.8);
  EXPECT_EQ(four_digits(0.0528949), 0.05289);
  EXPECT_EQ(four_digits(0), 0);
}

}  // namespace
}  // namespace ridgewalk
