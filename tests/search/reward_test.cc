#include "search/reward.h"

#include <cmath>

#include <gtest/gtest.h>

namespace ridgewalk {
namespace {

Reward reward(RewardForm form, Combine combine, int targets = 1) {
  Reward reward{.form = form, .beta = -0.1, .combine = combine, .targets = {}};
  for (int i = 0; i < targets; ++i) reward.targets.push_back({"target", {{31.2}}, {{100}}});
  return reward;
}

double at(const Reward& reward, std::vector<Macs> latency) { return reward(0.8, latency); }

// TuNAS: 0.8 - 0.1 * |120 / 100 - 1| = 0.78, and the same below the target.
TEST(Reward, AbsolutePenalisesBothSidesOfTheTarget) {
  const Reward r = reward(RewardForm::kAbsolute, Combine::kSum);
  EXPECT_DOUBLE_EQ(at(r, {{100}}), 0.8);
  EXPECT_DOUBLE_EQ(at(r, {{120}}), 0.78);
  EXPECT_DOUBLE_EQ(at(r, {{80}}), 0.78);
}

// MnasNet, equation 2: 0.8 * 2^-0.1.
TEST(Reward, MnasSoftPraisesWhatIsFaster) {
  const Reward r = reward(RewardForm::kMnasSoft, Combine::kSum);
  EXPECT_NEAR(at(r, {{200}}), 0.8 * 0.933032991536807, 1e-12);
  EXPECT_NEAR(at(r, {{50}}), 0.8 * 1.071773462536293, 1e-12);
}

TEST(Reward, MnasHardIsFlatBelowTheTarget) {
  const Reward r = reward(RewardForm::kMnasHard, Combine::kSum);
  EXPECT_NEAR(at(r, {{200}}), 0.8 * 0.933032991536807, 1e-12);
  EXPECT_DOUBLE_EQ(at(r, {{50}}), 0.8);
}

TEST(Reward, TargetsAddUpOrTheWorstCounts) {
  EXPECT_NEAR(at(reward(RewardForm::kAbsolute, Combine::kSum, 2), {{120}, {150}}), 0.8 - 0.07,
              1e-12);
  EXPECT_NEAR(at(reward(RewardForm::kAbsolute, Combine::kWorst, 2), {{120}, {150}}), 0.8 - 0.05,
              1e-12);
  const double factor = 0.933032991536807;  // 2^-0.1
  EXPECT_NEAR(at(reward(RewardForm::kMnasSoft, Combine::kSum, 2), {{200}, {50}}), 0.8, 1e-12);
  EXPECT_NEAR(at(reward(RewardForm::kMnasSoft, Combine::kWorst, 2), {{200}, {50}}), 0.8 * factor,
              1e-12);
  EXPECT_NEAR(at(reward(RewardForm::kMnasHard, Combine::kSum, 2), {{200}, {200}}),
              0.8 * factor * factor, 1e-12);
  EXPECT_NEAR(at(reward(RewardForm::kMnasHard, Combine::kWorst, 2), {{50}, {50}}), 0.8, 1e-12);
}

TEST(Reward, WithoutTargetsIsTheAccuracy) {
  EXPECT_DOUBLE_EQ(at(reward(RewardForm::kAbsolute, Combine::kWorst, 0), {}), 0.8);
}

}  // namespace
}  // namespace ridgewalk
