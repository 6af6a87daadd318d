// Least squares with nonnegative unknowns. Not installed: Eigen stays out of the public headers.
#pragma once

#include <array>

#include <Eigen/Dense>

namespace ridgewalk {

// The x >= 0 with the least |A x - b|, from the normal equations A^T A and A^T b, by active sets
// (Lawson and Hanson, Solving Least Squares Problems, 1974, algorithm NNLS).
Eigen::VectorXd nonnegative_least_squares(const Eigen::MatrixXd& products,
                                          const Eigen::VectorXd& sums);

// The same of up to three columns, those whose bits are set, by trying which factors are 0: a fit
// solves millions of these, and nothing is allocated.
struct FewFactors {
  std::array<double, 3> factors = {};
  double gain = 0;  // by which they lower the sum of squares |b|^2
};
FewFactors nonnegative_least_squares(const std::array<std::array<double, 3>, 3>& products,
                                     const std::array<double, 3>& sums, unsigned columns);

}  // namespace ridgewalk
