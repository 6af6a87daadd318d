// Least squares with nonnegative unknowns. Not installed: Eigen stays out of the public headers.
#pragma once

#include <Eigen/Dense>

namespace ridgewalk {

// The x >= 0 with the least |A x - b|, from the normal equations A^T A and A^T b, by active sets
// (Lawson and Hanson, Solving Least Squares Problems, 1974, algorithm NNLS).
Eigen::VectorXd nonnegative_least_squares(const Eigen::MatrixXd& products,
                                          const Eigen::VectorXd& sums);

}  // namespace ridgewalk
