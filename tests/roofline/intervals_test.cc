#include "roofline/intervals.h"

#include <cmath>
#include <random>

#include "tests/helpers.h"

namespace ridgewalk {
namespace {

MATCHER_P2(IsFrom, low, high, "") {
  return arg && std::abs(arg->low - low) < 1e-9 && std::abs(arg->high - high) < 1e-9;
}

constexpr auto kSpearman = RankCorrelation::kSpearman;
constexpr auto kKendall = RankCorrelation::kKendall;

TEST(RowsOfNetworks, StandInTheOrderOfTheFirst) {
  const std::vector<std::string> names = {"b", "a", "b", "c", "a"};
  EXPECT_EQ(rows_of_networks(names), (RowsOfNetworks{{0, 2}, {1, 4}, {3}}));
}

// scipy 1.17.1: binomtest(successes, n).proportion_ci(coverage, 'wilson').
TEST(ShareInterval, IsWilsonsAsScipyHasIt) {
  const auto of = [](int successes, size_t n, double coverage) {
    return std::optional(share_interval(successes / double(n), n, coverage));
  };
  EXPECT_THAT(of(0, 3, 0.95), IsFrom(0.0, 0.5614970317550454));
  EXPECT_THAT(of(5, 5, 0.95), IsFrom(0.5655175352168251, 1.0));
  EXPECT_THAT(of(9, 11, 0.9), IsFrom(0.572857495134022, 0.9378847474808303));
  EXPECT_THAT(of(15, 30, 0.95), IsFrom(0.3315412564053377, 0.6684587435946623));
}

// Three networks in the same order say next to nothing: their one disjoint pair is concordant,
// which it is in one of two cases by chance. scipy 1.17.1:
//   2 * binomtest(n // 2, n // 2).proportion_ci(coverage, 'exact').low - 1;
// Spearman's bounds by hand: (0.9025 - 1.9 - 1) / 2 and (3 * 0.5639612781783223 - 1) / 2.
TEST(CorrelationInterval, OfAPerfectOrderIsExactNotEmpty) {
  const std::vector<double> resampled(2000, 1);  // what a bootstrap of it says
  const auto of = [&](RankCorrelation kind, double value, size_t n, double coverage) {
    return correlation_interval(kind, value, n, coverage, resampled);
  };
  EXPECT_THAT(of(kKendall, 1, 3, 0.95), IsFrom(-0.95, 1.0));
  EXPECT_THAT(of(kKendall, 1, 11, 0.9), IsFrom(0.09856054330611808, 1.0));
  EXPECT_THAT(of(kKendall, 1, 30, 0.95), IsFrom(0.5639612781783223, 1.0));
  EXPECT_THAT(of(kKendall, -1, 30, 0.95), IsFrom(-1.0, -0.5639612781783223));
  EXPECT_THAT(of(kSpearman, 1, 3, 0.95), IsFrom(-0.99875, 1.0));
  EXPECT_THAT(of(kSpearman, 1, 30, 0.95), IsFrom(0.34594191726748, 1.0));
  EXPECT_EQ(of(kKendall, 1, 30, 0.95)->method, IntervalMethod::kDisjointPairs);
}

// The bound holds at least as often as it says: of networks whose order in one judgement is that in
// the other with the chance of concordance that the bound names, at most 2.5 % of the samples are
// in perfect order. The worst case: a share of networks is in one order, all others are against it.
TEST(CorrelationInterval, OfAPerfectOrderHoldsInTheWorstCase) {
  constexpr size_t kNetworks = 8;
  const double low = correlation_interval(kKendall, 1, kNetworks, 0.95, {})->low;
  const double in_order = std::sqrt((1 + low) / 2);  // of two networks both: concordant
  std::mt19937_64 random(5);
  std::bernoulli_distribution is_in_order(in_order);
  int perfect = 0;
  constexpr int kSamples = 20000;
  for (int sample = 0; sample < kSamples; ++sample) {
    bool all = true;
    for (size_t i = 0; i < kNetworks; ++i) all &= is_in_order(random);
    perfect += all;
  }
  EXPECT_NEAR(perfect / double(kSamples), 0.025, 0.004);
}

// numpy 2 and scipy 1.17.1: tanh(arctanh(r) -+ norm.ppf((1 + coverage) / 2) * se) with
// se = sqrt((1 + r**2 / 2) / (n - 3)), sqrt(0.437 / (n - 4)).
TEST(CorrelationInterval, OfFewNetworksIsFishersZ) {
  EXPECT_THAT(correlation_interval(kSpearman, 0.6, 5, 0.9, {}),
              IsFrom(-0.5155713893113353, 0.9608282513003183));
  EXPECT_THAT(correlation_interval(kSpearman, 0.9, 5, 0.95, {}),
              IsFrom(-0.16889565860999556, 0.9960685924750513));
  EXPECT_THAT(correlation_interval(kKendall, 0.8, 5, 0.95, {}),
              IsFrom(-0.19452996290039506, 0.9834881048108084));
  EXPECT_THAT(correlation_interval(kKendall, 0.4, 7, 0.9, {}),
              IsFrom(-0.20134202160351447, 0.7823612034474654));
  EXPECT_EQ(correlation_interval(kSpearman, 0.5, 3, 0.95, {}), std::nullopt);
  EXPECT_EQ(correlation_interval(kKendall, 1. / 3, 4, 0.95, {}), std::nullopt);
  EXPECT_EQ(correlation_interval(kSpearman, NAN, 30, 0.95, {}), std::nullopt);
}

TEST(CorrelationInterval, OfManyNetworksIsTheBootstraps) {
  std::vector<double> resampled;
  for (int i = 0; i <= 100; ++i) resampled.push_back(i / 100.);
  const auto interval = correlation_interval(kKendall, 0.5, 8, 0.9, resampled);
  EXPECT_THAT(interval, IsFrom(0.05, 0.95));
  EXPECT_EQ(interval->method, IntervalMethod::kBootstrap);
}

TEST(PercentileInterval, IsNotGivenWithoutWidthOrOfFewNetworks) {
  EXPECT_EQ(percentile_interval(30, std::vector<double>(1000, 121.3), 0.9), std::nullopt);
  EXPECT_EQ(percentile_interval(30, {}, 0.9), std::nullopt);
  EXPECT_EQ(percentile_interval(kFewestResampled - 1, {1, 2, 3}, 0.9), std::nullopt);
  EXPECT_THAT(percentile_interval(kFewestResampled, {1, 2, 3}, 1), IsFrom(1.0, 3.0));
}

// scipy 1.17.1, 200,000 resamples (20,000 for tau): bootstrap((x,), statistic, paired=True,
// confidence_level=..., method='percentile', random_state=1).
TEST(Bootstrap, AgreesWithScipys) {
  const std::vector<double> x = {3.1, 4.7, 2.2, 5.9, 4.4, 3.8, 6.1, 2.9, 5.2, 4.0, 3.3, 4.9};
  const auto of = [](const std::vector<double>& values, const std::vector<size_t>& drawn) {
    std::vector<double> sample;
    for (size_t i : drawn) sample.push_back(values[i]);
    return sample;
  };
  const auto means =
      bootstrap(x.size(), 20000, 1, 0.9, [&](const auto& drawn) { return mean(of(x, drawn)); });
  EXPECT_NEAR(means->low, 3.6583, 0.02);
  EXPECT_NEAR(means->high, 4.7583, 0.02);
  const auto medians = bootstrap(x.size(), 20000, 1, 0.9,
                                 [&](const auto& drawn) { return quantile(of(x, drawn), 0.5); });
  EXPECT_NEAR(medians->low, 3.3, 0.051);  // the median of resamples is a step
  EXPECT_NEAR(medians->high, 4.9, 0.051);
  const std::vector<double> p = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const std::vector<double> q = {2, 1, 4, 3, 5, 7, 6, 10, 9, 8};
  const auto taus = bootstrap(p.size(), 20000, 1, 0.95, [&](const auto& drawn) {
    return kendall_tau_b(of(p, drawn), of(q, drawn));
  });
  EXPECT_NEAR(taus->low, 0.4146, 0.02);
  EXPECT_NEAR(taus->high, 0.95, 0.02);
}

// The mean of n draws has the standard error sigma / sqrt(n).
TEST(Bootstrap, CoversAMeanAsItsStandardErrorSays) {
  std::mt19937_64 random(2);
  std::normal_distribution<double> normal(5, 2);
  std::vector<double> values(400);
  for (double& value : values) value = normal(random);
  const auto interval = bootstrap(values.size(), 2000, 3, 0.9, [&](const auto& drawn) {
    double sum = 0;
    for (size_t index : drawn) sum += values[index];
    return sum / double(drawn.size());
  });
  ASSERT_TRUE(interval);
  EXPECT_NEAR(interval->high - interval->low, 2 * 1.645 * 2 / std::sqrt(400), 0.04);
  EXPECT_LT(interval->low, 5.2);
  EXPECT_GT(interval->high, 4.8);
}

// A network measured twenty times is drawn as one, with all its rows.
TEST(ResampledAgreement, DrawsNetworksNotRows) {
  std::vector<double> predicted, measured;
  std::vector<std::string> names;
  for (int network = 0; network < 2; ++network) {
    for (int row = 0; row < 20; ++row) {
      predicted.push_back(1);
      measured.push_back(network == 0 ? 1 : 2);
      names.push_back(std::to_string(network));
    }
  }
  for (const Agreement& one :
       resampled_agreement(predicted, measured, rows_of_networks(names), 100, 1)) {
    EXPECT_THAT(one.mean_error, testing::AnyOf(0.0, 0.25, 0.5));
  }
}

}  // namespace
}  // namespace ridgewalk
