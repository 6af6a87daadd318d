#include "supernet/data/rand_augment.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "tests/image_files.h"

namespace ridgewalk {
namespace {

using Bytes = std::vector<uint8_t>;

Image grey(int height, int width, Bytes pixels) { return {height, width, 1, std::move(pixels)}; }

Bytes after(ImageOp op, double amount, Image image) {
  apply(op, amount, 0, image);
  return image.pixels;
}

TEST(RandAugmentOps, OfSingleValues) {
  const Image image = grey(1, 5, {0, 100, 127, 128, 255});
  EXPECT_EQ(after(ImageOp::kInvert, 0, image), (Bytes{255, 155, 128, 127, 0}));
  EXPECT_EQ(after(ImageOp::kPosterize, 4, image), (Bytes{0, 96, 112, 128, 240}));
  EXPECT_EQ(after(ImageOp::kPosterize, 8, image), image.pixels);
  EXPECT_EQ(after(ImageOp::kPosterize, 0, image), (Bytes{0, 0, 0, 0, 0}));
  EXPECT_EQ(after(ImageOp::kSolarize, 128, image), (Bytes{0, 100, 127, 127, 0}));
  EXPECT_EQ(after(ImageOp::kSolarize, 256, image), image.pixels);
  EXPECT_EQ(after(ImageOp::kSolarizeAdd, 110, image), (Bytes{110, 210, 237, 128, 255}));
  EXPECT_EQ(after(ImageOp::kBrightness, 0.5, image), (Bytes{0, 50, 64, 64, 128}));
  EXPECT_EQ(after(ImageOp::kBrightness, 2, image), (Bytes{0, 200, 254, 255, 255}));
  EXPECT_EQ(after(ImageOp::kBrightness, 1, image), image.pixels);
}

TEST(RandAugmentOps, OfWholeImages) {
  EXPECT_EQ(after(ImageOp::kAutoContrast, 0, grey(1, 3, {50, 100, 150})), (Bytes{0, 127, 255}));
  EXPECT_EQ(after(ImageOp::kAutoContrast, 0, grey(1, 3, {9, 9, 9})), (Bytes{9, 9, 9}));
  // 256 pixels of 10 and 256 of 20 are spread over the whole range.
  const Bytes flat = after(ImageOp::kEqualize, 0,
                           image_of(16, 32, 1, [](int, int x, int) { return x < 16 ? 10 : 20; }));
  EXPECT_EQ(std::set<uint8_t>(flat.begin(), flat.end()), (std::set<uint8_t>{0, 255}));
  // The luminance of red is 0.299.
  const Image red{1, 1, 3, {255, 0, 0}};
  EXPECT_EQ(after(ImageOp::kColor, 0, red), (Bytes{76, 76, 76}));
  EXPECT_EQ(after(ImageOp::kColor, 1, red), red.pixels);
  EXPECT_EQ(after(ImageOp::kContrast, 0, grey(1, 2, {0, 100})), (Bytes{50, 50}));
  EXPECT_EQ(after(ImageOp::kContrast, 2, grey(1, 2, {40, 60})), (Bytes{30, 70}));
  // The smoothed middle is 5 / 13 of 13.
  EXPECT_EQ(after(ImageOp::kSharpness, 0, grey(3, 3, {0, 0, 0, 0, 13, 0, 0, 0, 0}))[4], 5);
  EXPECT_EQ(after(ImageOp::kSharpness, 2, grey(3, 3, {0, 0, 0, 0, 13, 0, 0, 0, 0}))[4], 21);
}

TEST(RandAugmentOps, MovePixels) {
  const Image nine = grey(3, 3, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  EXPECT_EQ(after(ImageOp::kRotate, 90, nine), (Bytes{3, 6, 9, 2, 5, 8, 1, 4, 7}));
  EXPECT_EQ(after(ImageOp::kRotate, -90, nine), (Bytes{7, 4, 1, 8, 5, 2, 9, 6, 3}));
  EXPECT_EQ(after(ImageOp::kRotate, 180, nine), (Bytes{9, 8, 7, 6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(after(ImageOp::kRotate, 0, nine), nine.pixels);
  EXPECT_EQ(after(ImageOp::kTranslateX, 0.34, nine), (Bytes{2, 3, 128, 5, 6, 128, 8, 9, 128}));
  EXPECT_EQ(after(ImageOp::kTranslateY, -0.34, nine), (Bytes{128, 128, 128, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(after(ImageOp::kShearX, 1, nine), (Bytes{1, 2, 3, 5, 6, 128, 9, 128, 128}));
  EXPECT_EQ(after(ImageOp::kShearY, -1, nine), (Bytes{1, 128, 128, 4, 2, 128, 7, 5, 3}));
  // A shift by half a pixel gives the mean of two.
  EXPECT_EQ(after(ImageOp::kShearX, 0.5, grey(2, 2, {0, 0, 10, 20}))[2], 15);
}

TEST(RandAugmentOps, CutASquareOut) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Image image = image_of(16, 16, 3, [](int, int, int) { return 1; });
    apply(ImageOp::kCutout, 0.25, seed, image);
    int count = 0;
    for (const uint8_t pixel : image.pixels) count += pixel == 128;
    EXPECT_LE(count, 8 * 8 * 3);
    EXPECT_GE(count, 4 * 4 * 3);  // a corner
  }
}

TEST(RandAugmentTest, HasTheAmountsOfTheModelGarden) {
  EXPECT_DOUBLE_EQ(std::abs(amount_of(ImageOp::kRotate, 10, 1)), 30);
  EXPECT_DOUBLE_EQ(amount_of(ImageOp::kPosterize, 9, 1), 3);
  EXPECT_DOUBLE_EQ(amount_of(ImageOp::kSolarize, 9, 1), 230);
  EXPECT_DOUBLE_EQ(amount_of(ImageOp::kSolarizeAdd, 9, 1), 99);
  EXPECT_DOUBLE_EQ(amount_of(ImageOp::kColor, 10, 1), 1.9);
  EXPECT_DOUBLE_EQ(amount_of(ImageOp::kColor, 5, 1), 1);
  EXPECT_DOUBLE_EQ(std::abs(amount_of(ImageOp::kShearX, 15, 1)), 0.45);
  EXPECT_DOUBLE_EQ(std::abs(amount_of(ImageOp::kTranslateY, 10, 1)) * 224, 100);
  EXPECT_DOUBLE_EQ(amount_of(ImageOp::kCutout, 10, 1) * 224, 40);
  std::set<double> signs;
  for (uint64_t seed = 0; seed < 20; ++seed) signs.insert(amount_of(ImageOp::kRotate, 10, seed));
  EXPECT_EQ(signs.size(), 2u);
}

TEST(RandAugmentTest, DoesWhatItIsToldAndRepeatsItself) {
  const Image image = noise_image(12, 12, 3);
  RandAugment only_invert{.probability = 1, .layers = 1};
  for (ImageOp op : kValues<ImageOp>) {
    if (op != ImageOp::kInvert) only_invert.exclude.push_back(op);
  }
  // A layer inverts or, as likely, does nothing.
  const std::vector<uint8_t> inverted = after(ImageOp::kInvert, 0, image);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Image augmented = image;
    rand_augment(only_invert, seed, augmented);
    EXPECT_TRUE(augmented == image || augmented.pixels == inverted);
  }

  int unchanged = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    RandAugment options{.probability = 0.5, .layers = 1, .magnitude = 15};
    options.exclude = {ImageOp::kSolarize};  // changes nothing at this magnitude
    Image once = image;
    Image again = image;
    rand_augment(options, seed, once);
    rand_augment(options, seed, again);
    EXPECT_TRUE(once == again);
    unchanged += once == image;
    options.probability = 0;
    rand_augment(options, seed, again);
    EXPECT_TRUE(once == again);
  }
  EXPECT_NEAR(unchanged, 200, 60);  // some operations change nothing here
}

TEST(RandAugmentTest, KnowsItsOperationsByName) {
  EXPECT_EQ(kValues<ImageOp>.size(), 16u);
  for (ImageOp op : kValues<ImageOp>) EXPECT_EQ(value_named<ImageOp>(to_string(op)), op);
  EXPECT_EQ(to_string(ImageOp::kCutout), "cutout");
}

// Changed images of 2000, when only `ops` are drawn from; each changes every image.
int changed(const std::vector<ImageOp>& ops) {
  RandAugment options{.probability = 1, .layers = 1};
  for (ImageOp op : kValues<ImageOp>) {
    if (std::find(ops.begin(), ops.end(), op) == ops.end()) options.exclude.push_back(op);
  }
  const Image image = image_of(9, 9, 3, [](int y, int x, int c) { return 20 + 9 * y + 7 * x + c; });
  int count = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Image augmented = image;
    rand_augment(options, seed, augmented);
    count += augmented != image;
  }
  return count;
}

// Four standard deviations of a binomial draw: 90 at 1/2, 77 at 3/4.
TEST(RandAugmentTest, DrawsTheIdentityLikeAnOperation) {
  EXPECT_NEAR(changed({ImageOp::kInvert}), 1000, 90);
  EXPECT_NEAR(changed({ImageOp::kInvert, ImageOp::kRotate, ImageOp::kSolarizeAdd}), 1500, 77);
  EXPECT_EQ(changed({}), 0);
}

}  // namespace
}  // namespace ridgewalk
