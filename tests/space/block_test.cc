#include "space/block.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace ridgewalk {
namespace {

using testing::HasSubstr;

// Values of timm's make_divisible, executed.
TEST(MakeDivisible, RoundsHalfUpAndNeverBelowNineTenths) {
  EXPECT_EQ(make_divisible(32 * 0.5), 16);
  EXPECT_EQ(make_divisible(12), 16);
  EXPECT_EQ(make_divisible(11), 16);  // 8 is below 90 % of 11
  EXPECT_EQ(make_divisible(19), 24);  // 16 is below 90 % of 19
  EXPECT_EQ(make_divisible(17), 16);
  EXPECT_EQ(make_divisible(1), 8);
  EXPECT_EQ(make_divisible(100), 104);
  EXPECT_EQ(make_divisible(99), 96);
}

TEST(MakeDivisible, GrowsWithTheValueUpToWhatNoBlockAccepts) {
  int before = 0;
  for (double value = 1; value < 3000; value += 0.25) {
    const int rounded = make_divisible(value);
    EXPECT_EQ(rounded % 8, 0);
    EXPECT_GE(rounded, before);
    EXPECT_GE(rounded, 0.9 * value);
    before = rounded;
  }
  EXPECT_GT(make_divisible(std::numeric_limits<double>::max()), 65536);
}

TEST(Uib, HasFourInstantiations) {
  EXPECT_EQ(instantiation({.kernel1 = 0, .kernel2 = 0}), "FFN");
  EXPECT_EQ(instantiation({.kernel1 = 3, .kernel2 = 0}), "ConvNext");
  EXPECT_EQ(instantiation({.kernel1 = 0, .kernel2 = 5}), "IB");
  EXPECT_EQ(instantiation({.kernel1 = 5, .kernel2 = 3}), "ExtraDW");
}

TEST(Violation, NamesFieldValueAndRule) {
  const Uib good{.kernel1 = 0, .kernel2 = 3, .expanded = 64, .width = 16};
  EXPECT_EQ(violation(good), "");
  Uib bad = good;
  bad.kernel2 = 4;
  EXPECT_THAT(violation(bad), HasSubstr("kernel2 is 4; it must be odd"));
  bad = good;
  bad.width = 0;
  EXPECT_THAT(violation(bad), HasSubstr("width is 0; it must be from 1 to 65536"));
  bad = good;
  bad.stride = 2;
  bad.kernel2 = 0;
  EXPECT_THAT(violation(bad), HasSubstr("stride is 2, but there is no depthwise convolution"));
  bad.kernel1 = 3;
  EXPECT_EQ(violation(bad), "");
  EXPECT_THAT(violation(Conv{.kernel = 0, .width = 8}), HasSubstr("kernel is 0"));
  EXPECT_THAT(violation(FusedIb{.expanded = 0, .width = 8}), HasSubstr("expanded is 0"));
  EXPECT_THAT(violation(MobileMqa{.kv_stride = 3}), HasSubstr("kv_stride is 3"));
  EXPECT_THAT(violation(MobileMqa{.heads = 4, .kv_heads = 2}),
              HasSubstr("kv_heads is 2; it must be 1 (multi-query) or as many as heads, 4"));
  EXPECT_EQ(violation(MobileMqa{.heads = 4, .kv_heads = 4}), "");
}

TEST(OutputWidth, AttentionKeepsItsInput) {
  EXPECT_EQ(output_width(MobileMqa{}, 96), 96);
  EXPECT_EQ(output_width(FusedIb{.expanded = 64, .width = 48}, 32), 48);
}

}  // namespace
}  // namespace ridgewalk
