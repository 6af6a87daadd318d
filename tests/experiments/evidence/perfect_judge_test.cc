#include "experiments/evidence/perfect_judge.h"

#include <cmath>
#include <numbers>
#include <random>

#include <gtest/gtest.h>

namespace ridgewalk {
namespace {

// Of normal accuracies with variance 1 and luck with variance 0.5 in each of three trainings, the
// mean has correlation rho = sqrt(1 / (1 + 0.5 / 3)) with the networks' own accuracy, and Kendall's
// tau of two normal variables is 2 / pi asin(rho) (Greiner, 1909).
TEST(PerfectJudge, ReachesWhatTheLuckOfNormalTrainingsLeaves) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  std::vector<std::vector<double>> trainings;
  for (int i = 0; i < 3000; ++i) {
    const double own = normal(random);
    trainings.emplace_back();
    for (int k = 0; k < 3; ++k) {
      trainings.back().push_back(own + std::sqrt(0.5) * normal(random));
    }
  }
  const double rho = std::sqrt(1 / (1 + 0.5 / 3));
  EXPECT_NEAR(best_kendall(trainings, 1), 2 / std::numbers::pi * std::asin(rho), 0.01);
}

TEST(PerfectJudge, IsPerfectWithoutLuck) {
  EXPECT_EQ(best_kendall({{0.1, 0.1}, {0.3, 0.3}, {0.2, 0.2}}, 1), 1);
}

// Means that differ by less than the luck of the trainings say.
TEST(PerfectJudge, HasNoOrderToFindInLuckAlone) {
  EXPECT_EQ(best_kendall({{0.1, 0.3}, {0.3, 0.11}, {0.2, 0.21}}, 1), 0);
  EXPECT_EQ(best_kendall({{0.1, 0.3}, {0.3, 0.1}, {0.2, 0.2}}, 1), 0);
}

}  // namespace
}  // namespace ridgewalk
