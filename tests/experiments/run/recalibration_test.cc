#include "experiments/run/recalibration.h"

#include <gtest/gtest.h>

namespace ridgewalk {
namespace {

// By hand: 1.1, 1.2 and 1.3 times the law; without the first the median is 1.25.
TEST(Recalibration, IsTheMedianWhereThatIsBetter) {
  const RecalibrationResult better = recalibrated({1.1, 1.2, 1.3});
  EXPECT_DOUBLE_EQ(better.factor, 1.2);
  EXPECT_NEAR(better.error_before, (0.1 / 1.1 + 0.2 / 1.2 + 0.3 / 1.3) / 3, 1e-12);
  EXPECT_NEAR(better.error_after, (0.15 / 1.1 + 0 + 0.15 / 1.3) / 3, 1e-12);
  // Errors of both signs: no factor helps.
  const RecalibrationResult none = recalibrated({0.9, 1, 1.1, 1});
  EXPECT_EQ(none.factor, 1);
  EXPECT_EQ(none.error_after, none.error_before);
}

}  // namespace
}  // namespace ridgewalk
