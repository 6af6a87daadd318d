#include "supernet/data/augmentation.h"

#include <gtest/gtest.h>

namespace ridgewalk {
namespace {

TEST(RandomCrop, HasAnAreaAndARatioInRange) {
  const RandomResizedCrop crop{.least_area = 0.2, .most_area = 0.6};
  double sum = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const Box box = random_box(crop, 300, 400, seed);
    EXPECT_GE(box.top, 0);
    EXPECT_GE(box.left, 0);
    EXPECT_LE(box.top + box.height, 1 + 1e-12);
    EXPECT_LE(box.left + box.width, 1 + 1e-12);
    const double area = box.height * box.width;
    EXPECT_GE(area, 0.2 - 1e-9);
    EXPECT_LE(area, 0.6 + 1e-9);
    const double ratio = box.width * 400 / (box.height * 300);
    EXPECT_GE(ratio, 0.75 - 1e-9);
    EXPECT_LE(ratio, 4.0 / 3 + 1e-9);
    sum += area;
  }
  EXPECT_NEAR(sum / 2000, 0.4, 0.01);
}

TEST(RandomCrop, FallsBackToTheMiddleOfALongImage) {
  const Box box = random_box({.least_area = 0.9, .most_area = 1}, 10, 1000, 1);
  EXPECT_DOUBLE_EQ(box.height, 1);
  EXPECT_NEAR(box.width * 1000, 40.0 / 3, 1e-9);
  EXPECT_NEAR(box.left + box.width / 2, 0.5, 1e-12);
}

TEST(Mixed, BySharesOfPixelsAndLabel) {
  const Augmentation cutmix{.cutmix = 1};
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const Mixing mixing = draw_mixing(cutmix, 100, 32, seed);
    EXPECT_TRUE(mixing.boxed);
    EXPECT_GE(mixing.top, 0);
    EXPECT_LE(mixing.right, 32);
    const int area = (mixing.bottom - mixing.top) * (mixing.right - mixing.left);
    EXPECT_DOUBLE_EQ(mixing.share, 1 - area / 1024.0);
    EXPECT_GE(mixing.partner, 0);
    EXPECT_LT(mixing.partner, 100);
  }
  // The paper's large networks: 0.3 of the examples, half of those by cutmix.
  const Augmentation both{.mixup = 0.8, .cutmix = 1, .mix_probability = 0.3, .cutmix_share = 0.5};
  int boxed = 0;
  int blended = 0;
  for (uint64_t seed = 0; seed < 4000; ++seed) {
    const Mixing mixing = draw_mixing(both, 100, 32, seed);
    boxed += mixing.boxed;
    blended += !mixing.boxed && mixing.share < 1;
  }
  EXPECT_NEAR(boxed, 600, 75);
  EXPECT_NEAR(blended, 600, 75);
  EXPECT_EQ(draw_mixing({}, 100, 32, 1).share, 1);
}

}  // namespace
}  // namespace ridgewalk
