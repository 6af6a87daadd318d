// Confidence intervals of figures over networks. One network is one draw, however often it was
// measured.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roofline/statistics.h"
#include "space/names.h"

namespace ridgewalk {

// Row numbers of one network; networks stand in the order in which they first appear.
using RowsOfNetworks = std::vector<std::vector<size_t>>;
RowsOfNetworks rows_of_networks(std::span<const std::string> networks);

enum class IntervalMethod {
  kBootstrap,
  kFisherZ,
  kDisjointPairs,
  kWilson,
  kWidenedBootstrap,
  kGroupJackknife,
  kLogT,
  kOrderStatistics
};
template <>
inline constexpr auto kNames<IntervalMethod> = name_table<IntervalMethod>(
    "method of intervals", {{IntervalMethod::kBootstrap, "bootstrap"},
                            {IntervalMethod::kFisherZ, "fisher-z"},
                            {IntervalMethod::kDisjointPairs, "disjoint-pairs"},
                            {IntervalMethod::kWilson, "wilson"},
                            {IntervalMethod::kWidenedBootstrap, "widened-bootstrap"},
                            {IntervalMethod::kGroupJackknife, "group-jackknife"},
                            {IntervalMethod::kLogT, "log-t"},
                            {IntervalMethod::kOrderStatistics, "order-statistics"}});
// For a reader, with the source: "Fisher's z with the standard errors of Bonett and Wright (2000)".
std::string_view description(IntervalMethod method);

struct Interval {
  double low = 0;
  double high = 0;
  IntervalMethod method = IntervalMethod::kBootstrap;
};

// Calls `use` with n indices drawn with replacement, `resamples` times (Efron's bootstrap, 1979).
void resample(size_t n, int resamples, uint64_t seed,
              const std::function<void(const std::vector<size_t>& drawn)>& use);

// The agreement of each resample of the networks; a network that is drawn brings all its rows.
std::vector<Agreement> resampled_agreement(std::span<const double> predicted,
                                           std::span<const double> measured,
                                           const RowsOfNetworks& networks, int resamples,
                                           uint64_t seed);

// The middle `coverage` of the values; NaNs are left out.
Interval middle(const std::vector<double>& values, double coverage);

// Below so many networks a percentile bootstrap is too narrow: of a perfect order it has no width
// at all, and of one that is nearly perfect often none. (Kendall's tau of six pairs of normal
// variables with correlation 0.9: 13 % of the bootstrap intervals have no width, 87 % of the 95 %
// intervals hold the true value; of eight pairs 2 % and 98 %.)
inline constexpr size_t kFewestResampled = 8;

// Percentile bootstrap from a statistic of resamples of n networks. Nothing where there are fewer
// than kFewestResampled, or where the ends are the same to four digits: such resamples say that
// they hold no information, not that the figure is exact.
std::optional<Interval> percentile_interval(size_t n, const std::vector<double>& resampled,
                                            double coverage);
// Of a figure fitted to n networks together with others, `unknowns` in all, from fits of resamples.
// Resamples of n networks vary less than n networks do, by sqrt((n - unknowns) / n), so percentiles
// further out are taken (expanded percentiles: Hesterberg, What teachers should know about the
// bootstrap, 2015). None where n does not exceed the unknowns, or the ends are the same to four
// digits.
std::optional<Interval> widened_percentile_interval(size_t n, size_t unknowns,
                                                    const std::vector<double>& resampled,
                                                    double coverage);
// The same, with `statistic` of `resamples` draws of n indices.
std::optional<Interval> bootstrap(
    size_t n, int resamples, uint64_t seed, double coverage,
    const std::function<double(const std::vector<size_t>&)>& statistic);

// Wilson's score interval of a share of n (Wilson, Probable inference, 1927); n above 0.
Interval share_interval(double share, size_t n, double coverage);

// Of the mean of errors of networks held out of a fit with so many unknowns, all at least 0:
// Student's t on the logarithm of the mean, whose variance is that of one error over n - unknowns.
// Few errors may be alike by chance, so that their spread counts as no less than that of normal
// errors, sqrt(pi / 2 - 1) of their mean. None where the networks do not exceed the unknowns, or
// all errors are 0.
std::optional<Interval> mean_error_interval(std::span<const double> errors, size_t unknowns,
                                            double coverage);
// Of the median, by the exact test of signs: from one of the sorted values to another. None where
// there are too few.
std::optional<Interval> median_interval(std::vector<double> values, double coverage);
// Whether the mean of the differences is above 0, by Student's t at this one-sided confidence.
bool is_above_zero(std::span<const double> differences, double confidence);

enum class RankCorrelation { kSpearman, kKendall };

// Of a rank correlation over n networks:
//   a perfect order (1 or -1) has the exact interval from its disjoint pairs: floor(n / 2)
//     independent pairs are all concordant, so the chance of concordance p has Clopper and
//     Pearson's bound, and tau = 2 p - 1. Spearman's follows by the inequality of Durbin and Stuart
//     (Inversions and rank correlation coefficients, 1951), rho >= (3 tau - 1) / 2 where tau >= 0
//     and (tau^2 + 2 tau - 1) / 2 below.
//   fewer than kFewestResampled networks have Fisher's z with standard error
//     sqrt((1 + rho^2 / 2) / (n - 3)) or sqrt(0.437 / (n - 4)) (Bonett and Wright, Sample size
//     requirements for estimating Pearson, Kendall and Spearman correlations, 2000); too few for
//     that have none.
//   others have the percentile bootstrap of `resampled`.
// None where the value is NaN.
std::optional<Interval> correlation_interval(RankCorrelation kind, double value, size_t n,
                                             double coverage, const std::vector<double>& resampled);

// The agreement of predictions of networks, each measured once, and the interval of its rank
// correlation, where the networks give one.
struct NetworkAgreement : Agreement {
  std::optional<Interval> spearman_interval = {};
};
NetworkAgreement network_agreement(std::span<const double> predicted,
                                   std::span<const double> measured, double coverage);

}  // namespace ridgewalk
