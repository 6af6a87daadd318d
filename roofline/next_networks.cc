#include "roofline/next_networks.h"

#include <algorithm>
#include <cmath>

#include <Eigen/Dense>

#include "roofline/fit_problem.h"
#include "roofline/statistics.h"

namespace ridgewalk {
namespace {

constexpr double kPriorVariance = 9;  // of the logarithm of a figure: e^3 is a factor of twenty
constexpr double kLeastNoise = 0.01;  // of a measurement
constexpr double kLeastShare = 0.1;   // of the latencies that a figure of 0 is taken to explain
constexpr double kStep = 1.02;        // of numerical derivatives, in ridge point and cost

// The fit with figures in place of those that it holds to be 0: nothing would tell how their
// networks differ.
Fit inside(Fit fit, std::span<const Measured> rows, const FitTerms& terms) {
  std::vector<double> macs, ops, latencies;
  for (const Measured& row : rows) {
    macs.push_back(row.latency.value / row.work.macs.value);
    ops.push_back(row.latency.value / std::max(1, row.work.kernels));
    latencies.push_back(row.latency.value);
  }
  fit.ridge_point = {std::clamp(fit.ridge_point.value, 1.0, 0.5 * kHighestRidgePoint)};
  const auto at_least = [](double value, const std::vector<double>& of) {
    return std::max(value, kLeastShare * quantile(of, 0.5));
  };
  if (fit.seconds_per_mac == 0) fit.seconds_per_mac = at_least(0, macs);
  if (terms.op_overhead) fit.op_overhead = {at_least(fit.op_overhead.value, ops)};
  if (terms.floor) fit.floor = {at_least(fit.floor.value, latencies)};
  return fit;
}

// By how much the prediction changes, relative to itself, with the logarithm of each figure; the
// ridge point's first.
Eigen::VectorXd gradient(const NetworkWork& work, const Fit& fit, const FitTerms& terms) {
  const double total = fit.predict(work).value;
  const auto of_figure = [&](double& (*figure)(Fit&)) {
    Fit more = fit, less = fit;
    figure(more) *= kStep;
    figure(less) /= kStep;
    return (more.predict(work).value - less.predict(work).value) / total / (2 * std::log(kStep));
  };
  std::vector<double> g{of_figure([](Fit& f) -> double& { return f.ridge_point.value; }),
                        of_figure([](Fit& f) -> double& { return f.seconds_per_mac; })};
  if (terms.depthwise_cost) {
    g.push_back(of_figure([](Fit& f) -> double& { return f.depthwise_cost; }));
  }
  if (terms.op_overhead) {
    g.push_back(of_figure([](Fit& f) -> double& { return f.op_overhead.value; }));
  }
  if (terms.floor) g.push_back(of_figure([](Fit& f) -> double& { return f.floor.value; }));
  return Eigen::Map<Eigen::VectorXd>(g.data(), Eigen::Index(g.size()));
}

double noise_variance(std::span<const Measured> rows, const Fit& fit, size_t unknowns) {
  double squares = 0;
  for (const Measured& row : rows) {
    const double error = fit.predict(row.work).value / row.latency.value - 1;
    squares += error * error;
  }
  const double freedom = std::max(1.0, double(rows.size()) - double(unknowns));
  return std::max(kLeastNoise * kLeastNoise, squares / freedom);
}

}  // namespace

std::vector<Suggestion> next_networks(std::span<const Measured> rows, const Fit& fitted,
                                      const FitTerms& terms,
                                      std::span<const NetworkWork> candidates, size_t count) {
  const double noise = noise_variance(rows, fitted, unknowns_of(terms, std::nullopt));
  const Fit fit = inside(fitted, rows, terms);
  const Eigen::Index figures = gradient(rows[0].work, fit, terms).size();
  Eigen::MatrixXd information = Eigen::MatrixXd::Identity(figures, figures) / kPriorVariance;
  for (const Measured& row : rows) {
    const Eigen::VectorXd g = gradient(row.work, fit, terms);
    information += g * g.transpose() / noise;
  }
  Eigen::MatrixXd covariance = information.inverse();
  const double before = covariance(0, 0);
  std::vector<Eigen::VectorXd> gradients;
  for (const NetworkWork& work : candidates) gradients.push_back(gradient(work, fit, terms));
  std::vector<Suggestion> chosen;
  while (chosen.size() < std::min(count, candidates.size())) {
    size_t best = 0;
    double most = -1;
    for (size_t i = 0; i < gradients.size(); ++i) {
      const bool is_chosen = std::any_of(chosen.begin(), chosen.end(),
                                         [&](const Suggestion& one) { return one.candidate == i; });
      const Eigen::VectorXd moved = covariance * gradients[i];
      const double gain = moved[0] * moved[0] / (noise + gradients[i].dot(moved));
      if (!is_chosen && gain > most) most = gain, best = i;
    }
    const Eigen::VectorXd moved = covariance * gradients[best];
    covariance -= moved * moved.transpose() / (noise + gradients[best].dot(moved));
    chosen.push_back({best, std::sqrt(std::max(0.0, covariance(0, 0)) / before)});
  }
  return chosen;
}

}  // namespace ridgewalk
