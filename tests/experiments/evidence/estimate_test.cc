#include "experiments/evidence/estimate.h"

#include <cmath>

#include <gtest/gtest.h>

namespace ridgewalk {
namespace {

// 1, 2, 3: standard deviation 1; Student's t at 97.5 % with two degrees of freedom is 4.30265.
TEST(Estimate, IsTheMeanWithStudentsInterval) {
  const Estimate e = estimate({1, 2, 3});
  EXPECT_DOUBLE_EQ(e.mean, 2);
  EXPECT_NEAR(e.error, 1 / std::sqrt(3), 1e-12);
  EXPECT_NEAR(e.half, 4.30265 / std::sqrt(3), 1e-5);
  EXPECT_EQ(estimate_text(e, 10, 1), "20.0 ± 24.8");
}

// scipy 1.17.1: t.interval(0.95, 3, mean(x), sem(x)).
TEST(Estimate, IsScipys) {
  const Json json = estimate_json(estimate({0.9123, 0.9061, 0.9188, 0.9142}));
  EXPECT_NEAR(json["low"].get<double>(), 0.904475770835758, 1e-12);
  EXPECT_NEAR(json["high"].get<double>(), 0.9212242291642421, 1e-12);
}

// 0.1 three times has a mean a bit above 0.1, and a deviation that is rounding.
TEST(Estimate, OfEqualValuesHasNoInterval) {
  const Estimate equal = estimate({0.1, 0.1, 0.1});
  EXPECT_TRUE(estimate_json(equal)["low"].is_null());
  EXPECT_EQ(estimate_text(equal, 100, 1), "10.0");
  EXPECT_FALSE(paired_estimate({0.9 - 0.8, 0.7 - 0.6, 0.4 - 0.3}));
}

TEST(Estimate, OfOneValueHasNoInterval) {
  const Estimate one = estimate({0.5});
  EXPECT_EQ(estimate_json(one)["mean"], 0.5);
  EXPECT_TRUE(estimate_json(one)["low"].is_null());
  EXPECT_EQ(estimate_text(one, 100, 1), "50.0");
  EXPECT_FALSE(paired_estimate({0.5}));
}

TEST(Estimate, OfDifferencesCountsStandardErrors) {
  const Json over = paired_json(paired_estimate({0.01, 0.02, 0.03}).value());
  EXPECT_NEAR(over["standard_errors"].get<double>(), 2 * std::sqrt(3), 1e-9);
  EXPECT_NEAR(over["low"].get<double>(), 0.02 - 0.0430265 / std::sqrt(3), 1e-7);
}

}  // namespace
}  // namespace ridgewalk
