#include "roofline/intervals.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <numbers>
#include <random>

#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>

namespace ridgewalk {
namespace {

constexpr double kRounding = 1e-12;

// Standard deviations on either side of the mean that hold `coverage` of a normal distribution.
double normal_width(double coverage) {
  return boost::math::quantile(boost::math::normal(), (1 + coverage) / 2);
}

// Quantile of Student's t.
double student(double freedom, double probability) {
  return boost::math::quantile(boost::math::students_t(freedom), probability);
}

double standard_deviation(std::span<const double> values) {
  const double centre = mean(values);
  double squares = 0;
  for (double value : values) squares += (value - centre) * (value - centre);
  return std::sqrt(squares / double(values.size() - 1));
}

bool is_alike(const Interval& interval) {
  return std::isnan(interval.low) || four_digits(interval.low) == four_digits(interval.high);
}

std::optional<Interval> fisher_interval(RankCorrelation kind, double value, size_t n,
                                        double coverage) {
  const bool is_spearman = kind == RankCorrelation::kSpearman;
  const double freedom = double(n) - (is_spearman ? 3 : 4);
  if (freedom < 1) return std::nullopt;
  const double variance = is_spearman ? 1 + value * value / 2 : 0.437;
  const double half = normal_width(coverage) * std::sqrt(variance / freedom);
  const double z = std::atanh(value);
  return Interval{std::tanh(z - half), std::tanh(z + half), IntervalMethod::kFisherZ};
}

// From the bound of a perfect order to 1.
double lowest_of_perfect(RankCorrelation kind, size_t n, double coverage) {
  const size_t pairs = n / 2;
  const double tau = 2 * std::pow((1 - coverage) / 2, 1 / double(pairs)) - 1;
  if (kind == RankCorrelation::kKendall) return tau;
  return tau >= 0 ? (3 * tau - 1) / 2 : (tau * tau + 2 * tau - 1) / 2;
}

}  // namespace

RowsOfNetworks rows_of_networks(std::span<const std::string> networks) {
  RowsOfNetworks rows;
  std::map<std::string, size_t> places;
  for (size_t row = 0; row < networks.size(); ++row) {
    const auto [place, is_new] = places.emplace(networks[row], rows.size());
    if (is_new) rows.emplace_back();
    rows[place->second].push_back(row);
  }
  return rows;
}

std::string_view description(IntervalMethod method) {
  switch (method) {
    case IntervalMethod::kBootstrap:
      return "percentile bootstrap over the networks";
    case IntervalMethod::kFisherZ:
      return "Fisher's z with the standard errors of Bonett and Wright (2000), for few networks";
    case IntervalMethod::kDisjointPairs:
      return "the exact bound from disjoint pairs of networks, for a perfect order";
    case IntervalMethod::kWilson:
      return "Wilson's score (1927), for shares";
    case IntervalMethod::kWidenedBootstrap:
      return "percentile bootstrap over the networks, widened for the unknowns of the fit";
    case IntervalMethod::kGroupJackknife:
      return "jackknife over groups of networks";
    case IntervalMethod::kLogT:
      return "Student's t on the logarithm, for mean errors";
    case IntervalMethod::kOrderStatistics:
      return "the test of signs, for medians";
  }
  return "";
}

void resample(size_t n, int resamples, uint64_t seed,
              const std::function<void(const std::vector<size_t>& drawn)>& use) {
  std::mt19937_64 generator(seed);
  std::vector<size_t> drawn(n);
  for (int i = 0; i < resamples; ++i) {
    for (size_t& index : drawn) index = size_t(generator() % n);
    use(drawn);
  }
}

std::vector<Agreement> resampled_agreement(std::span<const double> predicted,
                                           std::span<const double> measured,
                                           const RowsOfNetworks& networks, int resamples,
                                           uint64_t seed) {
  std::vector<Agreement> result;
  std::vector<double> p, m;
  resample(networks.size(), resamples, seed, [&](const std::vector<size_t>& drawn) {
    p.clear(), m.clear();
    for (size_t network : drawn) {
      for (size_t row : networks[network]) p.push_back(predicted[row]), m.push_back(measured[row]);
    }
    result.push_back(agreement(p, m));
  });
  return result;
}

Interval middle(const std::vector<double>& values, double coverage) {
  std::vector<double> kept;
  std::copy_if(values.begin(), values.end(), std::back_inserter(kept),
               [](double value) { return !std::isnan(value); });
  return {.low = quantile(kept, (1 - coverage) / 2), .high = quantile(kept, (1 + coverage) / 2)};
}

std::optional<Interval> percentile_interval(size_t n, const std::vector<double>& resampled,
                                            double coverage) {
  if (n < kFewestResampled) return std::nullopt;
  const Interval interval = middle(resampled, coverage);
  return is_alike(interval) ? std::nullopt : std::optional(interval);
}

std::optional<Interval> widened_percentile_interval(size_t n, size_t unknowns,
                                                    const std::vector<double>& resampled,
                                                    double coverage) {
  if (n <= unknowns) return std::nullopt;
  const double width =
      normal_width(coverage) * std::sqrt(double(n) / (double(n) - double(unknowns)));
  const double inside = 2 * boost::math::cdf(boost::math::normal(), width) - 1;
  Interval interval = middle(resampled, inside);
  interval.method = IntervalMethod::kWidenedBootstrap;
  return is_alike(interval) ? std::nullopt : std::optional(interval);
}

std::optional<Interval> bootstrap(
    size_t n, int resamples, uint64_t seed, double coverage,
    const std::function<double(const std::vector<size_t>&)>& statistic) {
  std::vector<double> values;
  resample(n, resamples, seed,
           [&](const std::vector<size_t>& drawn) { values.push_back(statistic(drawn)); });
  return percentile_interval(n, values, coverage);
}

Interval share_interval(double share, size_t n, double coverage) {
  const double z = normal_width(coverage), trials = double(n);
  const double shrink = 1 / (1 + z * z / trials);
  const double centre = shrink * (share + z * z / (2 * trials));
  const double half =
      shrink * z * std::sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half), IntervalMethod::kWilson};
}

std::optional<Interval> mean_error_interval(std::span<const double> errors, size_t unknowns,
                                            double coverage) {
  if (errors.size() <= std::max<size_t>(unknowns, 1)) return std::nullopt;
  const double n = double(errors.size()), freedom = n - double(std::max<size_t>(unknowns, 1));
  const double centre = mean(errors);
  if (!(centre > 0)) return std::nullopt;
  const double least = std::sqrt(std::numbers::pi / 2 - 1);
  const double spread = std::max(standard_deviation(errors) / centre, least) / std::sqrt(freedom);
  const double factor = std::exp(student(n - 1, (1 + coverage) / 2) * spread);
  return Interval{centre / factor, centre * factor, IntervalMethod::kLogT};
}

std::optional<Interval> median_interval(std::vector<double> values, double coverage) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  // The most values that may be cut off at each end: fewer than so many of n fair coins show heads
  // with a chance of (1 - coverage) / 2 at most.
  const boost::math::binomial coins(double(values.size()), 0.5);
  size_t cut = 0;
  while (boost::math::cdf(coins, double(cut)) <= (1 - coverage) / 2) ++cut;
  if (cut == 0) return std::nullopt;
  return Interval{values[cut - 1], values[values.size() - cut], IntervalMethod::kOrderStatistics};
}

bool is_above_zero(std::span<const double> differences, double confidence) {
  const double n = double(differences.size());
  if (n < 2) return false;
  return mean(differences) >
         student(n - 1, confidence) * standard_deviation(differences) / std::sqrt(n);
}

std::optional<Interval> correlation_interval(RankCorrelation kind, double value, size_t n,
                                             double coverage,
                                             const std::vector<double>& resampled) {
  if (std::isnan(value) || n < 2) return std::nullopt;
  if (std::abs(value) > 1 - kRounding) {
    const double lowest = lowest_of_perfect(kind, n, coverage);
    return value > 0 ? Interval{lowest, 1, IntervalMethod::kDisjointPairs}
                     : Interval{-1, -lowest, IntervalMethod::kDisjointPairs};
  }
  if (n < kFewestResampled) return fisher_interval(kind, value, n, coverage);
  return percentile_interval(n, resampled, coverage);
}

NetworkAgreement network_agreement(std::span<const double> predicted,
                                   std::span<const double> measured, double coverage) {
  constexpr int kResamples = 1000;
  const size_t n = measured.size();
  RowsOfNetworks rows;
  for (size_t row = 0; row < n; ++row) rows.push_back({row});
  std::vector<double> resampled;
  for (const Agreement& one : resampled_agreement(predicted, measured, rows, kResamples, 0)) {
    resampled.push_back(one.spearman);
  }
  const Agreement whole = agreement(predicted, measured);
  return {whole,
          correlation_interval(RankCorrelation::kSpearman, whole.spearman, n, coverage, resampled)};
}

}  // namespace ridgewalk
