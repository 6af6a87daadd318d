#include "roofline/nonnegative.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace ridgewalk {
namespace {

Eigen::VectorXd solve(const Eigen::MatrixXd& a, const Eigen::VectorXd& b) {
  return nonnegative_least_squares(a.transpose() * a, a.transpose() * b);
}

TEST(NonnegativeLeastSquares, IsLeastSquaresWhereThatIsPositive) {
  const Eigen::MatrixXd a{{1, 0}, {0, 2}, {1, 1}};
  const Eigen::VectorXd x = solve(a, a * Eigen::Vector2d(3, 0.5));
  EXPECT_NEAR(x[0], 3, 1e-12);
  EXPECT_NEAR(x[1], 0.5, 1e-12);
}

// By hand: free least squares give (1, -1); with the second held at 0 the first is a.b / a.a = 1/2.
TEST(NonnegativeLeastSquares, HoldsAtZeroWhatWouldBeNegative) {
  const Eigen::MatrixXd a{{1, 1}, {1, 0}};
  const Eigen::VectorXd x = solve(a, Eigen::Vector2d(0, 1));
  EXPECT_NEAR(x[0], 0.5, 1e-12);
  EXPECT_EQ(x[1], 0);
}

// scipy 1.17.1: scipy.optimize.nnls(a, b).
TEST(NonnegativeLeastSquares, IsScipys) {
  const Eigen::MatrixXd first{{73, 71, 52}, {87, 74, 46}, {72, 2, 7}, {80, 89, 71}};
  const Eigen::VectorXd x = solve(first, Eigen::Vector4d(49, 67, 68, 20));
  EXPECT_TRUE(x.isApprox(Eigen::Vector3d(0.6495384364022546, 0, 0), 1e-10)) << x;
  const Eigen::MatrixXd second{{1, 2, 3, 4}, {2, 1, 0, 1}, {5, 1, 2, 2},
                               {1, 4, 4, 1}, {3, 3, 1, 0}, {2, 0, 5, 3}};
  const Eigen::VectorXd y = solve(second, Eigen::Vector<double, 6>(10, 1, 7, -2, 4, 6));
  EXPECT_TRUE(y.isApprox(Eigen::Vector4d(0.6059880239520959, 0, 0, 1.8407185628742515), 1e-10))
      << y;
}

// The conditions of Karush, Kuhn and Tucker are enough: the problem is convex.
TEST(NonnegativeLeastSquares, IsOptimalOnRandomProblems) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  for (int trial = 0; trial < 200; ++trial) {
    const int rows = 5 + trial % 20, columns = 1 + trial % 12;
    Eigen::MatrixXd a(rows, columns);
    Eigen::VectorXd b(rows);
    for (double& value : a.reshaped()) value = normal(random);
    for (double& value : b) value = normal(random);
    if (trial % 3 == 0 && columns > 1) a.col(columns - 1) = a.col(0);  // one too many
    if (trial % 3 == 1 && columns > 1) {
      a.col(columns - 1) = a.col(0) + 1e-7 * a.col(columns - 1);  // nearly
    }
    const Eigen::VectorXd x = solve(a, b);
    const Eigen::VectorXd gradient = a.transpose() * (b - a * x);
    for (int i = 0; i < columns; ++i) {
      EXPECT_GE(x[i], 0);
      EXPECT_LE(gradient[i], 1e-9);
      if (x[i] > 0) {
        EXPECT_NEAR(gradient[i], 0, 1e-9);
      }
    }
  }
}

// Both ways to the same minimum, whichever columns are there.
TEST(NonnegativeLeastSquares, OfFewColumnsIsThatOfActiveSets) {
  std::mt19937_64 random(2);
  std::normal_distribution<double> normal;
  int at_zero = 0;
  for (int trial = 0; trial < 300; ++trial) {
    Eigen::Matrix<double, 8, 3> a;
    Eigen::Vector<double, 8> b;
    for (double& value : a.reshaped()) value = normal(random);
    for (double& value : b) value = normal(random);
    const unsigned columns = 1 + unsigned(trial) % 7;
    std::vector<int> chosen;
    for (int i = 0; i < 3; ++i) {
      if (columns >> i & 1) chosen.push_back(i);
    }
    std::array<std::array<double, 3>, 3> products;
    std::array<double, 3> sums;
    for (int i = 0; i < 3; ++i) {
      sums[size_t(i)] = a.col(i).dot(b);
      for (int j = 0; j < 3; ++j) products[size_t(i)][size_t(j)] = a.col(i).dot(a.col(j));
    }
    const FewFactors few = nonnegative_least_squares(products, sums, columns);
    const Eigen::MatrixXd own = a(Eigen::all, chosen);
    const Eigen::VectorXd x = solve(own, b);
    for (size_t i = 0; i < chosen.size(); ++i) {
      EXPECT_NEAR(few.factors[size_t(chosen[i])], x[Eigen::Index(i)], 1e-9);
      at_zero += x[Eigen::Index(i)] == 0;
    }
    EXPECT_NEAR(few.gain, b.squaredNorm() - (b - own * x).squaredNorm(), 1e-9);
  }
  EXPECT_GT(at_zero, 50);
}

TEST(NonnegativeLeastSquares, LeavesAloneWhatNothingAsksFor) {
  EXPECT_EQ(nonnegative_least_squares(Eigen::MatrixXd::Zero(3, 3), Eigen::VectorXd::Zero(3)),
            Eigen::VectorXd::Zero(3));
}

}  // namespace
}  // namespace ridgewalk
