#include "roofline/ridge_certainty.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include <boost/math/distributions/students_t.hpp>

#include "roofline/fit_problem.h"

namespace ridgewalk {
namespace {

constexpr double kCoverage = 0.9;
constexpr size_t kResampledUpTo = 100;
constexpr size_t kGroups = 20;

// Ridge points of fits to resamples of the networks; resamples with fewer networks than unknowns
// are left out.
std::vector<double> resampled_ridge_points(const FitProblem& problem,
                                           const RowsOfNetworks& networks, size_t rows,
                                           size_t unknowns, uint64_t seed) {
  // Of few networks percentiles far out are needed.
  const int resamples = networks.size() <= 20 ? 1000 : 300;
  std::vector<double> ridge_points, weights;
  resample(networks.size(), resamples, seed, [&](const std::vector<size_t>& drawn) {
    if (std::set(drawn.begin(), drawn.end()).size() < unknowns) return;
    weights.assign(rows, 0);
    for (size_t network : drawn) {
      for (size_t row : networks[network]) ++weights[row];
    }
    ridge_points.push_back(problem.fit(weights).fit.ridge_point.value);
  });
  return ridge_points;
}

// Of the logarithm: its standard error from fits without a twentieth of the networks each.
Interval jackknife_interval(const FitProblem& problem, RowsOfNetworks networks, size_t rows,
                            uint64_t seed) {
  std::shuffle(networks.begin(), networks.end(), std::mt19937_64(seed));
  std::vector<double> weights(rows, 1), logs;
  const auto fitted = [&] {
    return std::log(std::max(kLowestRidgePoint, problem.fit(weights).fit.ridge_point.value));
  };
  const double whole = fitted();
  for (size_t group = 0; group < kGroups; ++group) {
    const auto weigh = [&](double weight) {
      for (size_t i = group; i < networks.size(); i += kGroups) {
        for (size_t row : networks[i]) weights[row] = weight;
      }
    };
    weigh(0);
    logs.push_back(fitted());
    weigh(1);
  }
  const double centre = mean(logs);
  double squares = 0;
  for (double one : logs) squares += (one - centre) * (one - centre);
  const double error = std::sqrt(squares * (kGroups - 1) / kGroups);
  const boost::math::students_t student(kGroups - 1);
  const double half = error * boost::math::quantile(student, (1 + kCoverage) / 2);
  return {std::exp(whole - half), std::exp(whole + half), IntervalMethod::kGroupJackknife};
}

bool is_inside(const Interval& ends) {
  return ends.low > kLowestRidgePoint && ends.high < 0.99 * kHighestRidgePoint &&
         ends.high <= 2 * ends.low;
}

}  // namespace

RidgeCertainty ridge_certainty(std::span<const Measured> rows, const FitTerms& terms,
                               uint64_t seed) {
  std::vector<std::string> names;
  for (const Measured& row : rows) names.push_back(row.network);
  const RowsOfNetworks networks = rows_of_networks(names);
  const size_t unknowns = unknowns_of(terms, std::nullopt);
  if (networks.size() < kFewestForRidge || networks.size() <= unknowns) return {};
  const FitProblem problem(rows, terms, std::nullopt);
  if (networks.size() > kResampledUpTo) {
    const Interval interval = jackknife_interval(problem, networks, rows.size(), seed);
    const bool is_alike = four_digits(interval.low) == four_digits(interval.high);
    return {is_alike ? std::nullopt : std::optional(interval), is_inside(interval)};
  }
  const std::vector<double> ridge_points =
      resampled_ridge_points(problem, networks, rows.size(), unknowns, seed);
  const auto interval =
      widened_percentile_interval(networks.size(), unknowns, ridge_points, kCoverage);
  return {interval, is_inside(interval.value_or(middle(ridge_points, kCoverage)))};
}

}  // namespace ridgewalk
