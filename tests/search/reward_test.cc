#include "search/reward.h"

#include <cmath>

#include <gmock/gmock.h>
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

// By hand: ratios 0.5, 1.2 and 1 over three ridge points: the worst 1.2, the mean 0.9.
TEST(Reward, ARangeOfRidgePointsCountsByItsWorstOrItsMean) {
  Target range{"range", {{0}, {10}, {500}}, {{100}, {200}, {1000}}};
  const std::vector<Macs> latency{{50}, {240}, {1000}};
  EXPECT_DOUBLE_EQ(range.ratio(latency), 1.2);
  range.reduce = Reduce::kMean;
  EXPECT_DOUBLE_EQ(range.ratio(latency), 0.9);

  // A range between two ridge points: each target reads its own latencies.
  Reward r = reward(RewardForm::kAbsolute, Combine::kSum, 2);
  r.targets.insert(r.targets.begin() + 1, range);
  const std::vector<Macs> all{{110}, {50}, {240}, {1000}, {130}};
  EXPECT_THAT(r.ratios(all), testing::ElementsAre(testing::DoubleEq(1.1), testing::DoubleEq(0.9),
                                                  testing::DoubleEq(1.3)));
  EXPECT_NEAR(r(0.8, all), 0.8 - 0.1 * (0.1 + 0.1 + 0.3), 1e-12);
  EXPECT_NEAR(r.miss(all), 0.3, 1e-12);
  EXPECT_EQ(r.models().size(), 5u);
}

// log(1 + ridge point) in equal steps: 0, 9, 99 are a decade apart.
TEST(Reward, RidgePointsSpreadEvenlyInTheLogarithm) {
  const std::vector<MacsPerByte> points = spread_ridge_points(0, 99, 3);
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[0].value, 0);
  EXPECT_NEAR(points[1].value, 9, 1e-12);
  EXPECT_EQ(points[2].value, 99);
}

// A limit costs above it what a target costs there, and nothing below.
TEST(Reward, ALimitCostsOnlyAboveIt) {
  for (RewardForm form : kValues<RewardForm>) {
    Reward limit = reward(form, Combine::kSum);
    limit.targets[0].is_limit = true;
    EXPECT_DOUBLE_EQ(at(limit, {{50}}), 0.8);
    EXPECT_DOUBLE_EQ(at(limit, {{100}}), 0.8);
    EXPECT_DOUBLE_EQ(at(limit, {{120}}), at(reward(form, Combine::kSum), {{120}}));
  }
  // A target of 100 beside a limit of 100: the worst is the target below, the sum above.
  Reward both = reward(RewardForm::kAbsolute, Combine::kSum, 2);
  both.targets[1].is_limit = true;
  EXPECT_NEAR(at(both, {{120}, {50}}), 0.8 - 0.02, 1e-12);
  EXPECT_NEAR(at(both, {{120}, {150}}), 0.8 - 0.07, 1e-12);
  both.combine = Combine::kWorst;
  EXPECT_NEAR(at(both, {{120}, {50}}), 0.8 - 0.02, 1e-12);
  EXPECT_NEAR(at(both, {{100}, {150}}), 0.8 - 0.05, 1e-12);
}

// What is above a limit misses by more than any tolerance.
TEST(Reward, MissesWhatIsAboveALimit) {
  Reward both = reward(RewardForm::kAbsolute, Combine::kSum, 2);
  both.targets[1].is_limit = true;
  const auto miss = [&](std::vector<Macs> latency) { return both.miss(latency); };
  EXPECT_NEAR(miss({{120}, {10}}), 0.2, 1e-12);
  EXPECT_NEAR(miss({{100}, {100}}), 0, 1e-12);
  EXPECT_TRUE(std::isinf(miss({{100}, {100.01}})));
}

TEST(Reward, WithoutTargetsIsTheAccuracy) {
  EXPECT_DOUBLE_EQ(at(reward(RewardForm::kAbsolute, Combine::kWorst, 0), {}), 0.8);
}

}  // namespace
}  // namespace ridgewalk
