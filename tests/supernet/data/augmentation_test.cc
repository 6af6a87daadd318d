// What augmentation does to pixels, and how often.
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "space/error.h"
#include "space/random.h"
#include "supernet/data/augmentation.h"
#include "tests/image_files.h"

namespace ridgewalk {
namespace {

using Bytes = std::vector<uint8_t>;

Image grey(int height, int width, Bytes pixels) { return {height, width, 1, std::move(pixels)}; }

Bytes after(ImageOp op, double amount, Image image) {
  apply(op, amount, 0, image);
  return image.pixels;
}

Image random_image(int height, int width, uint64_t seed) {
  Random random(seed);
  return image_of(height, width, 3, [&](int, int, int) { return int(random.below(256)); });
}

TEST(Resize, KeepsAnImageOfTheSizeWanted) {
  const Image image = random_image(9, 9, 1);
  EXPECT_TRUE(resize(image, {}, 9) == image);
}

// PIL: Image.new of [0, 0, 255, 255] by resize((2, 1), BILINEAR) is [36, 219]: weights 3, 3, 1.
TEST(Resize, TakesAllPixelsUnderAnOutputPixel) {
  const Image row = image_of(4, 4, 1, [](int, int x, int) { return x < 2 ? 0 : 255; });
  EXPECT_EQ(resize(row, {}, 2).pixels, (Bytes{36, 219, 36, 219}));
}

TEST(Resize, InterpolatesWhereItGrows) {
  const Image row = grey(2, 2, {0, 100, 0, 100});
  EXPECT_EQ(resize(row, {}, 4).pixels, (Bytes{0, 25, 75, 100, 0, 25, 75, 100,  //
                                              0, 25, 75, 100, 0, 25, 75, 100}));
}

TEST(Resize, CutsOutTheBox) {
  const Image image =
      image_of(8, 4, 3, [](int y, int x, int c) { return 100 * (y >= 4) + 10 * (x >= 2) + c; });
  const Image lower_right =
      resize(image, {.top = 0.75, .left = 0.75, .height = 0.25, .width = 0.25}, 5);
  EXPECT_TRUE(lower_right == image_of(5, 5, 3, [](int, int, int c) { return 110 + c; }));
  // A box at the very edge and one smaller than a pixel.
  const Image edge = resize(image, {.top = 1, .left = 1, .height = 0, .width = 0}, 2);
  EXPECT_EQ(edge.at(0, 0, 0), 110);
}

TEST(Resize, CentresTheEvaluationCrop) {
  const Box box = centre_box(100, 200, 0.875);
  EXPECT_DOUBLE_EQ(box.height * 100, 87.5);
  EXPECT_DOUBLE_EQ(box.width * 200, 87.5);
  EXPECT_DOUBLE_EQ(box.top * 100, 6.25);
  EXPECT_DOUBLE_EQ(box.left * 200, 56.25);
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
  // Half a pixel aside: the mean of two.
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
  const Image image = random_image(12, 12, 1);
  RandAugment only_invert{.probability = 1, .layers = 1};
  for (int op = 0; op < kImageOps; ++op) {
    if (ImageOp(op) != ImageOp::kInvert) only_invert.exclude.push_back(ImageOp(op));
  }
  Image inverted = image;
  rand_augment(only_invert, 5, inverted);
  EXPECT_EQ(inverted.pixels, after(ImageOp::kInvert, 0, image));
  only_invert.layers = 2;
  rand_augment(only_invert, 5, inverted);
  EXPECT_EQ(inverted.pixels, after(ImageOp::kInvert, 0, image));

  int unchanged = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    RandAugment options{.probability = 0.5, .layers = 1, .magnitude = 15};
    options.exclude = {ImageOp::kSolarize};  // nothing at this magnitude
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
  for (int op = 0; op < kImageOps; ++op)
    EXPECT_EQ(image_op_named(to_string(ImageOp(op))), ImageOp(op));
  EXPECT_EQ(to_string(ImageOp::kCutout), "cutout");
  EXPECT_FALSE(image_op_named("blur"));
}

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

TEST(AugmentationYaml, SurvivesARoundTrip) {
  EXPECT_EQ(to_yaml(Augmentation{}), "{}");
  const Augmentation all{
      .random_resized_crop = RandomResizedCrop{.least_area = 0.1},
      .rand_augment = RandAugment{.probability = 0.7,
                                  .magnitude = 15,
                                  .exclude = {ImageOp::kEqualize, ImageOp::kCutout}},
      .shift = 2,
      .flip = true,
      .mixup = 0.8,
      .cutmix = 1,
      .mix_probability = 0.3,
      .cutmix_share = 0.25};
  for (const Augmentation& augmentation : {Augmentation{}, Augmentation{.flip = true}, all}) {
    const std::string text = to_yaml(augmentation);
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    EXPECT_TRUE(augmentation_from_yaml(text, "text") == augmentation) << text;
  }
  EXPECT_TRUE(
      augmentation_from_yaml("{random_resized_crop: {}, rand_augment: {}}", "text") ==
      (Augmentation{.random_resized_crop = RandomResizedCrop{}, .rand_augment = RandAugment{}}));
}

TEST(AugmentationYaml, RefusesWhatIsOutOfRange) {
  for (const auto& [text, says] : {
           std::pair("{random_resized_crop: {scale: [0.5, 0.1]}}", "'scale' must be [low, high]"),
           std::pair("{random_resized_crop: {scale: 0.5}}", "'scale' must be [low, high]"),
           std::pair("{random_resized_crop: {ratio: [0, 1]}}", "'ratio' must be [low, high]"),
           std::pair("{random_resized_crop: {area: 1}}", "unknown key 'area'"),
           std::pair("{rand_augment: {magnitude: 31}}", "'magnitude' is 31"),
           std::pair("{rand_augment: {layers: 0}}", "'layers' is 0"),
           std::pair("{rand_augment: {exclude: [blur]}}", "no operation is named 'blur'"),
           std::pair("{mixup: -1}", "'mixup' is -1"),
           std::pair("{cutmix: 0.001}", "at least 0.01"),
           std::pair("{mix_probability: 2}", "'mix_probability' is 2"),
           std::pair("{flop: true}", "unknown key 'flop'"),
       }) {
    try {
      augmentation_from_yaml("\n" + std::string(text), "file.yaml");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      const std::string what = error.what();
      EXPECT_NE(what.find("file.yaml:2: "), std::string::npos) << what;
      EXPECT_NE(what.find(says), std::string::npos) << what;
    }
  }
}

}  // namespace
}  // namespace ridgewalk
