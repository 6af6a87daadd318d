#include "roofline/nonnegative.h"

#include <algorithm>
#include <vector>

namespace ridgewalk {

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
