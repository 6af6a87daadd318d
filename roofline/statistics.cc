#include "roofline/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <numeric>

#include <boost/math/statistics/bivariate_statistics.hpp>

namespace ridgewalk {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

bool is_constant(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [&](double v) { return v == values[0]; });
}

// Pairs among equal neighbours of a sorted sequence of n; same(i, j) tells whether two are equal.
template <class Same>
int64_t tied_pairs(size_t n, Same same) {
  int64_t pairs = 0;
  for (size_t begin = 0, end = 0; begin < n; begin = end) {
    ++end;
    while (end < n && same(begin, end)) ++end;
    pairs += int64_t(end - begin) * int64_t(end - begin - 1) / 2;
  }
  return pairs;
}

// Sorts values[begin, end) and counts the pairs that stood in the wrong order.
int64_t sort_counting_swaps(std::vector<double>& values, std::vector<double>& scratch, size_t begin,
                            size_t end) {
  if (end - begin < 2) return 0;
  const size_t middle = begin + (end - begin) / 2;
  int64_t swaps = sort_counting_swaps(values, scratch, begin, middle) +
                  sort_counting_swaps(values, scratch, middle, end);
  size_t left = begin, right = middle;
  for (size_t out = begin; out < end; ++out) {
    const bool take_left = right == end || (left < middle && values[left] <= values[right]);
    if (!take_left) swaps += int64_t(middle - left);
    scratch[out] = values[take_left ? left++ : right++];
  }
  std::copy(scratch.begin() + ptrdiff_t(begin), scratch.begin() + ptrdiff_t(end),
            values.begin() + ptrdiff_t(begin));
  return swaps;
}

}  // namespace

std::vector<double> ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> result(values.size());
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    ++end;  // even a NaN, which equals nothing
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) result[order[i]] = double(begin + 1 + end) / 2;
  }
  return result;
}

double spearman(std::span<const double> a, std::span<const double> b) {
  if (a.size() < 2 || is_constant(a) || is_constant(b)) return kNaN;
  return boost::math::statistics::correlation_coefficient(ranks(a), ranks(b));
}

double kendall_tau_b(std::span<const double> a, std::span<const double> b) {
  if (a.size() < 2 || is_constant(a) || is_constant(b)) return kNaN;
  const size_t n = a.size();
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t i, size_t j) { return a[i] != a[j] ? a[i] < a[j] : b[i] < b[j]; });
  std::vector<double> second(n), scratch(n);
  for (size_t i = 0; i < n; ++i) second[i] = b[order[i]];
  const auto same_a = [&](size_t i, size_t j) { return a[order[i]] == a[order[j]]; };
  const int64_t tied_a = tied_pairs(n, same_a);
  const int64_t tied_both =
      tied_pairs(n, [&](size_t i, size_t j) { return same_a(i, j) && second[i] == second[j]; });
  const int64_t discordant = sort_counting_swaps(second, scratch, 0, n);
  const int64_t tied_b = tied_pairs(n, [&](size_t i, size_t j) { return second[i] == second[j]; });
  const int64_t pairs = int64_t(n) * int64_t(n - 1) / 2;
  const int64_t concordant = pairs - tied_a - tied_b + tied_both - discordant;
  return double(concordant - discordant) /
         std::sqrt(double(pairs - tied_a) * double(pairs - tied_b));
}

double four_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return std::strtod(text, nullptr);
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
}

double quantile(std::vector<double> values, double fraction) {
  if (values.empty()) return kNaN;
  std::sort(values.begin(), values.end());
  const double position = fraction * double(values.size() - 1);
  const size_t below = size_t(position);
  if (below + 1 == values.size()) return values.back();
  return values[below] + (position - double(below)) * (values[below + 1] - values[below]);
}

double relative_spread(const std::vector<double>& values) {
  return (quantile(values, 0.75) - quantile(values, 0.25)) / quantile(values, 0.5);
}

double best_factor(std::span<const double> predicted, std::span<const double> measured) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < predicted.size(); ++i) {
    const double ratio = predicted[i] / measured[i];
    sum += ratio, squares += ratio * ratio;
  }
  return squares > 0 ? sum / squares : 0;
}

Agreement agreement(std::span<const double> predicted, std::span<const double> measured) {
  std::vector<double> errors;
  for (size_t i = 0; i < predicted.size(); ++i) {
    errors.push_back(std::abs(predicted[i] / measured[i] - 1));
  }
  const auto share_within = [&](double limit) {
    return double(std::count_if(errors.begin(), errors.end(),
                                [&](double error) { return error <= limit; })) /
           double(errors.size());
  };
  return {.spearman = spearman(predicted, measured),
          .kendall_tau_b = kendall_tau_b(predicted, measured),
          .mean_error = mean(errors),
          .median_error = quantile(errors, 0.5),
          .within_5 = share_within(0.05),
          .within_10 = share_within(0.1),
          .within_20 = share_within(0.2)};
}

}  // namespace ridgewalk
