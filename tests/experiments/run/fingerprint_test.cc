// A run is not gone on with where what it depends on has changed.
#include "experiments/run/fingerprint.h"

#include <gtest/gtest.h>

namespace ridgewalk {
namespace {

TEST(Fingerprint, KnowsTheRidgePointsOfATarget) {
  const Target target{.name = "a", .ridge_points = {{5}}, .latency = {{1e6}}};
  Target moved = target;
  moved.ridge_points = {{6}};
  Target renamed = target;
  renamed.name = "b";
  EXPECT_NE(fingerprint_of(Reward{.targets = {target}}),
            fingerprint_of(Reward{.targets = {moved}}));
  EXPECT_EQ(fingerprint_of(Reward{.targets = {target}}),
            fingerprint_of(Reward{.targets = {renamed}}));
}

TEST(Fingerprint, KnowsTheDeviceAndThePrecision) {
  const Compute compute{.device = torch::kCPU, .precision = Precision::kBf16};
  const Compute accelerator{.device = torch::kCUDA, .precision = Precision::kBf16};
  const Compute exact{.device = torch::kCPU, .precision = Precision::kFp32};
  EXPECT_NE(fingerprint_of(compute), fingerprint_of(accelerator));
  EXPECT_NE(fingerprint_of(compute), fingerprint_of(exact));
}

}  // namespace
}  // namespace ridgewalk
