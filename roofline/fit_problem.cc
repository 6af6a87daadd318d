#include "roofline/fit_problem.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "roofline/nonnegative.h"

namespace ridgewalk {
namespace {

constexpr int kRidgePoints = 41, kDepthwiseCosts = 9;  // of the grid

std::vector<double> log_spaced(double low, double high, int count) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) {
    values.push_back(low * std::pow(high / low, double(i) / (count - 1)));
  }
  return values;
}

double log_step(double low, double high, int count) { return std::log(high / low) / (count - 1); }

// The lowest of f over exp(u), u in [low, high], by golden sections.
template <class F>
Candidate lowest(double low, double high, int sections, F f) {
  constexpr double kGolden = 0.6180339887498949;
  double c = high - kGolden * (high - low), d = low + kGolden * (high - low);
  Candidate at_c = f(std::exp(c)), at_d = f(std::exp(d));
  for (int i = 0; i < sections; ++i) {
    if (at_c.loss < at_d.loss) {
      high = d, d = c, at_d = at_c;
      at_c = f(std::exp(c = high - kGolden * (high - low)));
    } else {
      low = c, c = d, at_c = at_d;
      at_d = f(std::exp(d = low + kGolden * (high - low)));
    }
  }
  return at_c.loss < at_d.loss ? at_c : at_d;
}

}  // namespace

Macs roofline_macs(const NetworkWork& work, MacsPerByte ridge_point, double depthwise_cost) {
  // max(c m, r b) = c max(m, (r / c) b)
  return latency_at(work.dense, ridge_point) +
         depthwise_cost * latency_at(work.depthwise, {ridge_point.value / depthwise_cost});
}

FitProblem::FitProblem(std::span<const Measured> rows, const FitTerms& terms,
                       std::optional<MacsPerByte> ridge_point)
    : rows_(rows), terms_(terms), ridge_point_(ridge_point) {
  const Measured& first = rows[0];
  macs_unit_ = std::max(1.0, first.work.macs.value) / first.latency.value;
  ops_unit_ = std::max(1, first.work.kernels) / first.latency.value;
  one_unit_ = 1 / first.latency.value;
  for (const Measured& row : rows) {
    ops_.push_back(row.work.kernels / row.latency.value / ops_unit_);
    one_.push_back(1 / row.latency.value / one_unit_);
  }
  std::vector<double> ridge_points;
  if (ridge_point) {
    ridge_points = {ridge_point->value};
  } else {
    ridge_points = log_spaced(kLowestRidgePoint, kHighestRidgePoint, kRidgePoints);
    ridge_points.push_back(0);
  }
  const std::vector<double> costs = terms.depthwise_cost
                                        ? log_spaced(1, kHighestDepthwiseCost, kDepthwiseCosts)
                                        : std::vector<double>{1};
  for (double r : ridge_points) {
    for (double cost : costs) {
      Cell& cell = grid_.emplace_back(Cell{{r}, cost, {}});
      for (const Measured& row : rows) {
        cell.work.push_back(roofline_macs(row.work, {r}, cost).value / row.latency.value /
                            macs_unit_);
      }
    }
  }
}

FitProblem::Sums FitProblem::sums(std::span<const double> weights) const {
  Sums s;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double w = weights[i];
    s.ops_ops += w * ops_[i] * ops_[i];
    s.ops_one += w * ops_[i] * one_[i];
    s.one_one += w * one_[i] * one_[i];
    s.ops += w * ops_[i];
    s.one += w * one_[i];
    s.rows += w;
  }
  return s;
}

Candidate FitProblem::solve(std::span<const double> work, MacsPerByte ridge_point,
                            double depthwise_cost, std::span<const double> weights,
                            const Sums& s) const {
  double work_work = 0, work_ops = 0, work_one = 0, sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double x = weights[i] * work[i];
    work_work += x * work[i];
    work_ops += x * ops_[i];
    work_one += x * one_[i];
    sum += x;
  }
  const unsigned columns = 1u | unsigned(terms_.op_overhead) << 1 | unsigned(terms_.floor) << 2;
  const FewFactors linear = nonnegative_least_squares({{{work_work, work_ops, work_one},
                                                        {work_ops, s.ops_ops, s.ops_one},
                                                        {work_one, s.ops_one, s.one_one}}},
                                                      {sum, s.ops, s.one}, columns);
  return {.fit = {.ridge_point = ridge_point,
                  .seconds_per_mac = linear.factors[0] / macs_unit_,
                  .depthwise_cost = depthwise_cost,
                  .op_overhead = {linear.factors[1] / ops_unit_},
                  .floor = {linear.factors[2] / one_unit_}},
          .loss = std::max(0.0, s.rows - linear.gain)};
}

Candidate FitProblem::solve_at(MacsPerByte ridge_point, double depthwise_cost,
                               std::span<const double> weights, const Sums& sums) const {
  std::vector<double> work(rows_.size());
  for (size_t i = 0; i < work.size(); ++i) {
    if (weights[i] == 0) continue;
    work[i] = roofline_macs(rows_[i].work, ridge_point, depthwise_cost).value /
              rows_[i].latency.value / macs_unit_;
  }
  return solve(work, ridge_point, depthwise_cost, weights, sums);
}

// Around a cell of the grid: between its neighbours in depthwise cost, and there in ridge point.
Candidate FitProblem::search(std::span<const double> weights, const Sums& sums,
                             const Candidate& start, std::optional<MacsPerByte> ridge_point) const {
  const double cost_step = log_step(1, kHighestDepthwiseCost, kDepthwiseCosts);
  const double ridge_step = log_step(kLowestRidgePoint, kHighestRidgePoint, kRidgePoints);
  const bool has_costs = terms_.depthwise_cost;
  const bool has_ridge_points = !ridge_point && start.fit.ridge_point.value > 0;
  const auto at_cost = [&](double cost) {
    if (!has_ridge_points) {
      return solve_at(ridge_point.value_or(start.fit.ridge_point), cost, weights, sums);
    }
    const double u = std::log(start.fit.ridge_point.value);
    const double reach = (has_costs ? 2 : 1) * ridge_step;
    return lowest(std::max(std::log(kLowestRidgePoint), u - reach),
                  std::min(std::log(kHighestRidgePoint), u + reach), has_costs ? 12 : 18,
                  [&](double r) { return solve_at({r}, cost, weights, sums); });
  };
  Candidate found = start;
  if (has_costs) {
    const double u = std::log(start.fit.depthwise_cost);
    found = lowest(std::max(0.0, u - cost_step),
                   std::min(std::log(kHighestDepthwiseCost), u + cost_step), 10, at_cost);
  } else if (has_ridge_points) {
    found = at_cost(1);
  }
  return found.loss < start.loss ? found : start;
}

Candidate FitProblem::fit(std::span<const double> weights) const {
  const Sums s = sums(weights);
  Candidate best{{}, std::numeric_limits<double>::infinity()};
  for (const Cell& cell : grid_) {
    const Candidate candidate = solve(cell.work, cell.ridge_point, cell.depthwise_cost, weights, s);
    if (candidate.loss < best.loss) best = candidate;
  }
  return search(weights, s, best, ridge_point_);
}

Candidate FitProblem::fit_at(MacsPerByte ridge_point, std::span<const double> weights) const {
  const Sums s = sums(weights);
  if (!terms_.depthwise_cost) return solve_at(ridge_point, 1, weights, s);
  Candidate best{{}, std::numeric_limits<double>::infinity()};
  for (double cost : log_spaced(1, kHighestDepthwiseCost, kDepthwiseCosts)) {
    const Candidate candidate = solve_at(ridge_point, cost, weights, s);
    if (candidate.loss < best.loss) best = candidate;
  }
  return search(weights, s, best, ridge_point);
}

}  // namespace ridgewalk
