#include "experiments/evidence/decision_regression.h"

#include <cmath>
#include <limits>
#include <map>

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>

namespace ridgewalk {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// A row per network, with a 1 for the option that it has of each choice; kInactive is an option
// too.
MatrixXd one_hot(const std::vector<Decisions>& networks) {
  std::map<std::pair<size_t, int>, Index> columns;
  for (const Decisions& decisions : networks) {
    for (size_t c = 0; c < decisions.size(); ++c) {
      columns.try_emplace({c, decisions[c]}, Index(columns.size()));
    }
  }
  MatrixXd features = MatrixXd::Zero(Index(networks.size()), Index(columns.size()));
  for (size_t i = 0; i < networks.size(); ++i) {
    for (size_t c = 0; c < networks[i].size(); ++c) {
      features(Index(i), columns.at({c, networks[i][c]})) = 1;
    }
  }
  return features;
}

// The same rows in as few columns as hold them: a rotation, which a ridge regression does not see.
MatrixXd rotated(MatrixXd features) {
  features.rowwise() -= features.colwise().mean().eval();
  const Eigen::BDCSVD<MatrixXd> svd(features, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const Index rank = std::max<Index>(1, svd.rank());
  return svd.matrixU().leftCols(rank) * svd.singularValues().head(rank).asDiagonal();
}

// Sums over networks, from which a regression is made.
struct Moments {
  double count = 0, value = 0, square = 0;
  VectorXd feature, product;  // feature times value
  MatrixXd features;          // feature times feature

  void add(const VectorXd& x, double y, double sign) {
    count += sign;
    value += sign * y;
    square += sign * y * y;
    feature += sign * x;
    product += sign * y * x;
    features += sign * x * x.transpose();
  }
};

// The slopes of a ridge regression with an intercept.
VectorXd slopes(const Moments& sums) {
  const VectorXd center = sums.feature / sums.count;
  const MatrixXd spread = sums.features - sums.count * center * center.transpose();
  const VectorXd along = sums.product - sums.value * center;
  const double total = sums.square - sums.value * sums.value / sums.count;
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(spread);
  const VectorXd sizes = solver.eigenvalues().cwiseMax(0);
  const VectorXd shares = solver.eigenvectors().transpose() * along;
  double least = std::numeric_limits<double>::infinity();
  VectorXd best = VectorXd::Zero(sizes.size());
  for (double exponent = -4; exponent <= 3; exponent += 0.5) {
    const double penalty = std::pow(10, exponent) * std::max(sizes.mean(), 1e-12);
    const VectorXd damped = (sizes.array() + penalty).inverse();
    const VectorXd rotated_slopes = damped.cwiseProduct(shares);
    const double residual =
        total - 2 * rotated_slopes.dot(shares) + rotated_slopes.cwiseAbs2().dot(sizes);
    const double unknowns = 1 + sizes.dot(damped);
    const double error = residual / std::pow(sums.count - unknowns, 2);
    if (!(error < least) || unknowns >= sums.count) continue;
    least = error;
    best = solver.eigenvectors() * rotated_slopes;
  }
  return best;
}

}  // namespace

std::vector<double> regression_on_others(const std::vector<Decisions>& networks,
                                         const std::vector<double>& values,
                                         const RowsOfNetworks& rows) {
  const MatrixXd features = rotated(one_hot(networks));
  const Index width = features.cols();
  Moments all{.feature = VectorXd::Zero(width),
              .product = VectorXd::Zero(width),
              .features = MatrixXd::Zero(width, width)};
  for (size_t i = 0; i < values.size(); ++i)
    all.add(features.row(Index(i)).transpose(), values[i], 1);
  std::vector<double> scores(values.size());
  for (const std::vector<size_t>& same : rows) {
    Moments others = all;
    for (size_t i : same) others.add(features.row(Index(i)).transpose(), values[i], -1);
    const VectorXd slope = slopes(others);
    for (size_t i : same) scores[i] = features.row(Index(i)).dot(slope);
  }
  return scores;
}

}  // namespace ridgewalk
