#include "supernet/data/image.h"

#include <gtest/gtest.h>

#include "tests/image_files.h"

namespace ridgewalk {
namespace {

using Bytes = std::vector<uint8_t>;

TEST(Resize, KeepsAnImageOfTheSizeWanted) {
  const Image image = noise_image(9, 9, 3);
  EXPECT_TRUE(resize(image, {}, 9) == image);
}

// In PIL, [0, 0, 255, 255] resized to (2, 1) with BILINEAR is [36, 219]: weights 3, 3, 1.
TEST(Resize, TakesAllPixelsUnderAnOutputPixel) {
  const Image row = image_of(4, 4, 1, [](int, int x, int) { return x < 2 ? 0 : 255; });
  EXPECT_EQ(resize(row, {}, 2).pixels, (Bytes{36, 219, 36, 219}));
}

TEST(Resize, InterpolatesWhereItGrows) {
  const Image row = {2, 2, 1, {0, 100, 0, 100}};
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

// PIL's convert("L") of pure red, green, blue, white and of (200, 30, 20).
TEST(Grey, IsLuma) {
  const Image rgb{1, 5, 3, {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 200, 30, 20}};
  EXPECT_EQ(grey(rgb), (Image{1, 5, 1, {76, 150, 29, 255, 80}}));
}

}  // namespace
}  // namespace ridgewalk
