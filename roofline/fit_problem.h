// Many fits of parts of one table. Not installed.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "roofline/fit.h"

namespace ridgewalk {

// MACs at peak that a network's time amounts to, its depthwise MACs dearer.
Macs roofline_macs(const NetworkWork& work, MacsPerByte ridge_point, double depthwise_cost);

// A fit and its sum of squared relative errors.
struct Candidate {
  Fit fit;
  double loss = 0;
};

// What does not depend on which rows count is computed once: the work of each row over a grid of
// ridge points and depthwise costs. The rows must outlive it.
class FitProblem {
 public:
  FitProblem(std::span<const Measured> rows, const FitTerms& terms,
             std::optional<MacsPerByte> ridge_point);

  // The best fit of the rows, each counted as often as its weight says.
  Candidate fit(std::span<const double> weights) const;
  // The same at a ridge point.
  Candidate fit_at(MacsPerByte ridge_point, std::span<const double> weights) const;

 private:
  struct Cell {
    MacsPerByte ridge_point;
    double depthwise_cost;
    std::vector<double> work;  // of each row, over its latency
  };
  // Sums over the rows that do not depend on ridge point and depthwise cost.
  struct Sums {
    double ops_ops = 0, ops_one = 0, one_one = 0, ops = 0, one = 0, rows = 0;
  };
  Sums sums(std::span<const double> weights) const;
  Candidate solve(std::span<const double> work, MacsPerByte ridge_point, double depthwise_cost,
                  std::span<const double> weights, const Sums& sums) const;
  Candidate solve_at(MacsPerByte ridge_point, double depthwise_cost,
                     std::span<const double> weights, const Sums& sums) const;
  Candidate search(std::span<const double> weights, const Sums& sums, const Candidate& start,
                   std::optional<MacsPerByte> ridge_point) const;

  std::span<const Measured> rows_;
  FitTerms terms_;
  std::optional<MacsPerByte> ridge_point_;
  double macs_unit_ = 1, ops_unit_ = 1, one_unit_ = 1;  // of the columns, so that these are near 1
  std::vector<double> ops_, one_;                       // of each row, over its latency
  std::vector<Cell> grid_;
};

}  // namespace ridgewalk
