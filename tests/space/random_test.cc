#include "space/random.h"

#include <gtest/gtest.h>

namespace ridgewalk {
namespace {

TEST(RandomNumbers, OfBetaHaveItsMeanAndVariance) {
  for (const double alpha : {0.01, 0.2, 0.8, 1.0, 4.0}) {
    Random random(uint64_t(alpha * 100));
    constexpr int kCount = 40000;
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < kCount; ++i) {
      const double value = random.beta(alpha);
      ASSERT_GE(value, 0);
      ASSERT_LE(value, 1);
      sum += value;
      squares += (value - 0.5) * (value - 0.5);
    }
    EXPECT_NEAR(sum / kCount, 0.5, 0.01) << alpha;
    EXPECT_NEAR(squares / kCount, 1 / (4 * (2 * alpha + 1)), 0.003) << alpha;
  }
}

}  // namespace
}  // namespace ridgewalk
