// How well predictions agree with measurements.
#pragma once

#include <span>
#include <vector>

namespace ridgewalk {

// Positions in ascending order, from 1; equal values share the mean of theirs.
std::vector<double> ranks(std::span<const double> values);

// Pearson's correlation of the ranks, in [-1, 1]; NaN where either side is constant.
double spearman(std::span<const double> a, std::span<const double> b);

// Kendall's tau-b: concordant less discordant pairs, over the geometric mean of the pairs that are
// not tied in a and in b (Kendall, The treatment of ties in ranking problems, 1945). By Knight's
// merge sort, O(n log n). NaN where either side is constant.
double kendall_tau_b(std::span<const double> a, std::span<const double> b);

// To four significant digits: more of a measured figure would only look precise.
double four_digits(double value);

double mean(std::span<const double> values);
// Linear between neighbours of the sorted values; `fraction` in [0, 1]. NaN without values.
double quantile(std::vector<double> values, double fraction);

// Interquartile range over median.
double relative_spread(const std::vector<double>& values);

// The factor on `predicted` with the least sum of (factor * predicted / measured - 1)^2; 0 where
// nothing is predicted.
double best_factor(std::span<const double> predicted, std::span<const double> measured);

// How well predictions meet measurements, both above 0.
struct Agreement {
  double spearman = 0;
  double kendall_tau_b = 0;
  double mean_error = 0;    // of |predicted / measured - 1|
  double median_error = 0;  // of the same
  double within_5 = 0;      // share of networks within 5 %
  double within_10 = 0;
  double within_20 = 0;
};
Agreement agreement(std::span<const double> predicted, std::span<const double> measured);

}  // namespace ridgewalk
