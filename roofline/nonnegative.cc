#include "roofline/nonnegative.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace ridgewalk {
namespace {

// The factors of the chosen columns, or nothing where these are not independent or one factor would
// be below 0. By elimination: the products are those of columns, so that pivots are above 0.
std::optional<FewFactors> solve_for(std::array<std::array<double, 3>, 3> products,
                                    std::array<double, 3> sums, unsigned chosen) {
  FewFactors fit;
  const std::array<double, 3> target = sums;
  for (unsigned i = 0; i < 3; ++i) {
    if (!(chosen >> i & 1)) continue;
    const double original = products[i][i];
    for (unsigned j = 0; j < i; ++j) {
      if (!(chosen >> j & 1)) continue;
      const double factor = products[i][j] / products[j][j];
      for (unsigned k = j; k < 3; ++k) products[i][k] -= factor * products[j][k];
      sums[i] -= factor * sums[j];
    }
    if (!(products[i][i] > 1e-11 * original)) return std::nullopt;
  }
  for (unsigned i = 3; i-- > 0;) {
    if (!(chosen >> i & 1)) continue;
    double rest = sums[i];
    for (unsigned k = i + 1; k < 3; ++k) {
      if (chosen >> k & 1) rest -= products[i][k] * fit.factors[k];
    }
    fit.factors[i] = rest / products[i][i];
    if (fit.factors[i] < 0) return std::nullopt;
    fit.gain += fit.factors[i] * target[i];
  }
  return fit;
}

}  // namespace

FewFactors nonnegative_least_squares(const std::array<std::array<double, 3>, 3>& products,
                                     const std::array<double, 3>& sums, unsigned columns) {
  if (const auto all = solve_for(products, sums, columns)) return *all;
  FewFactors best;
  for (unsigned chosen = 1; chosen < columns; ++chosen) {
    if ((chosen & ~columns) != 0) continue;
    const auto fit = solve_for(products, sums, chosen);
    if (fit && fit->gain > best.gain) best = *fit;
  }
  return best;
}

Eigen::VectorXd nonnegative_least_squares(const Eigen::MatrixXd& products,
                                          const Eigen::VectorXd& sums) {
  const Eigen::Index n = sums.size();
  const double tolerance = 1e-12 * sums.cwiseAbs().maxCoeff();
  Eigen::VectorXd x = Eigen::VectorXd::Zero(n);
  std::vector<Eigen::Index> free;    // the unknowns not held at 0
  std::vector<Eigen::Index> barred;  // those that rounding would drive below 0 immediately
  for (Eigen::Index round = 0; round < 4 * n; ++round) {
    // Free the unknown that lowers the residual most.
    Eigen::VectorXd gradient = sums - products * x;
    for (Eigen::Index i : free) gradient[i] = 0;
    for (Eigen::Index i : barred) gradient[i] = 0;
    Eigen::Index steepest = 0;
    if (gradient.maxCoeff(&steepest) <= tolerance) break;
    free.push_back(steepest);
    // Solve for the free ones; go that way only until one reaches 0, and hold it there.
    while (!free.empty()) {
      const Eigen::MatrixXd a = products(free, free);
      const Eigen::VectorXd target = a.fullPivLu().solve(Eigen::VectorXd(sums(free)));
      if (x[steepest] == 0 && target[Eigen::Index(free.size()) - 1] <= 0) {
        free.pop_back();
        barred.push_back(steepest);
        break;
      }
      double step = 1;
      for (size_t i = 0; i < free.size(); ++i) {
        const double at = x[free[i]], to = target[Eigen::Index(i)];
        if (to < 0) step = std::min(step, at / (at - to));
      }
      for (size_t i = 0; i < free.size(); ++i) {
        x[free[i]] += step * (target[Eigen::Index(i)] - x[free[i]]);
      }
      barred.clear();
      if (step == 1) break;
      std::erase_if(free, [&](Eigen::Index i) {
        if (x[i] > 1e-12 * x.maxCoeff()) return false;
        x[i] = 0;
        return true;
      });
      if (free.empty() || free.back() != steepest) break;
    }
  }
  return x;
}

}  // namespace ridgewalk
