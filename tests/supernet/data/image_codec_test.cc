#include "supernet/data/image_codec.h"

#include <zlib.h>

#include <random>

#include <gtest/gtest.h>

#include "space/error.h"
#include "tests/helpers.h"
#include "tests/image_files.h"

namespace ridgewalk {
namespace {

// A red upper left, a green upper right, a blue lower left and a white lower right quarter.
Image quarters(int height, int width) {
  return image_of(height, width, 3, [=](int y, int x, int c) {
    const bool lower = y >= height / 2;
    const bool right = x >= width / 2;
    const bool on[3] = {!lower && !right, !lower && right, lower && !right};
    return (lower && right) || on[c] ? 255 : 0;
  });
}

void expect_quarters(const Image& image) {
  ASSERT_EQ(image.channels, 3);
  const int y = image.height / 4;
  const int x = image.width / 4;
  const int expected[2][2][3] = {{{255, 0, 0}, {0, 255, 0}}, {{0, 0, 255}, {255, 255, 255}}};
  for (int lower = 0; lower < 2; ++lower) {
    for (int right = 0; right < 2; ++right) {
      for (int c = 0; c < 3; ++c) {
        EXPECT_NEAR(image.at(lower ? 3 * y : y, right ? 3 * x : x, c), expected[lower][right][c], 4)
            << lower << right << c;
      }
    }
  }
}

TEST(ImageCodec, ReadsPngExactly) {
  const Image image = noise_image(5, 7, 3);
  const std::string bytes = png_of(image);
  EXPECT_TRUE(decode_image(bytes) == image);
  EXPECT_EQ(image_size(bytes).height, 5);
  EXPECT_EQ(image_size(bytes).width, 7);
}

TEST(ImageCodec, GivesThreeChannelsOfEveryPng) {
  const auto pixel = [](const std::string& bytes) {
    const Image image = decode_image(bytes);
    EXPECT_EQ(image.channels, 3);
    return std::vector<int>{image.at(0, 0, 0), image.at(0, 0, 1), image.at(0, 0, 2)};
  };
  using Colour = std::vector<int>;
  EXPECT_EQ(pixel(png_of(1, 1, 8, PNG_COLOR_TYPE_GRAY, "\x64")), (Colour{100, 100, 100}));
  EXPECT_EQ(pixel(png_of(1, 1, 16, PNG_COLOR_TYPE_RGB, "\xab\xab\x12\x12\xff\xff")),
            (Colour{0xab, 0x12, 0xff}));
  EXPECT_EQ(pixel(png_of(1, 1, 8, PNG_COLOR_TYPE_PALETTE, "\x01", {{1, 2, 3}, {7, 8, 9}})),
            (Colour{7, 8, 9}));
  EXPECT_EQ(pixel(png_of(1, 1, 8, PNG_COLOR_TYPE_RGB_ALPHA, "\x0a\x14\x1e\xff")),
            (Colour{10, 20, 30}));
  EXPECT_EQ(pixel(png_of(1, 1, 8, PNG_COLOR_TYPE_RGB_ALPHA, std::string("\x0a\x14\x1e\0", 4))),
            (Colour{255, 255, 255}));
}

TEST(ImageCodec, ReadsEveryKindOfJpeg) {
  expect_quarters(decode_image(jpeg_of(quarters(64, 96))));
  expect_quarters(decode_image(jpeg_of(quarters(64, 96), true)));
  const Image grey = decode_image(jpeg_of(image_of(9, 9, 1, [](int, int, int) { return 77; })));
  ASSERT_EQ(grey.channels, 3);
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(grey.at(4, 4, c), 77, 1);
  // Adobe's inks are inverted: 255 means none. Half the black ink halves the light.
  const int inks[4] = {255, 0, 128, 128};
  const Image print =
      decode_image(jpeg_of(image_of(8, 8, 4, [&](int, int, int c) { return inks[c]; })));
  ASSERT_EQ(print.channels, 3);
  EXPECT_NEAR(print.at(4, 4, 0), 128, 3);
  EXPECT_NEAR(print.at(4, 4, 1), 0, 3);
  EXPECT_NEAR(print.at(4, 4, 2), 64, 3);
}

TEST(ImageCodec, DecodesAJpegAtAnyEighthOfItsSize) {
  const std::string bytes = jpeg_of(quarters(61, 99));
  for (int eighths = 1; eighths <= 8; ++eighths) {
    const Image image = decode_image(bytes, eighths);
    EXPECT_EQ(image.height, (61 * eighths + 7) / 8);
    EXPECT_EQ(image.width, (99 * eighths + 7) / 8);
    expect_quarters(image);
  }
}

TEST(ImageCodec, RefusesEveryTruncation) {
  for (const std::string& bytes :
       {jpeg_of(noise_image(16, 24, 3)), jpeg_of(noise_image(16, 24, 3), true)}) {
    for (size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_THROW(decode_image(std::string_view(bytes).substr(0, length)), Error) << length;
    }
  }
  const std::string png = png_of(noise_image(8, 8, 3));
  for (size_t length = 0; length < png.size() - 12; ++length) {  // IEND, 12 bytes, has no pixels
    EXPECT_THROW(decode_image(std::string_view(png).substr(0, length)), Error) << length;
  }
}

TEST(ImageCodec, SurvivesCorruption) {
  const Image image = noise_image(24, 24, 3);
  std::mt19937_64 random(1);
  for (const std::string& whole : {jpeg_of(image), jpeg_of(image, true), png_of(image)}) {
    for (int i = 0; i < 1500; ++i) {
      std::string bytes = whole;
      for (int flips = 1 + int(random() % 3); flips > 0; --flips) {
        // Half of them in the header.
        const size_t length = random() % 2 ? bytes.size() : std::min<size_t>(bytes.size(), 200);
        bytes[3 + random() % (length - 3)] = char(random());
      }
      try {
        const Image got = decode_image(bytes, 1 + int(random() % 8));
        EXPECT_EQ(got.pixels.size(), size_t(got.height) * size_t(got.width) * 3);
      } catch (const Error&) {
      }
    }
  }
}

TEST(ImageCodec, RefusesWhatIsNoImageOrTooLarge) {
  for (const std::string text : {"", "\xff", "GIF89a", "<html>"}) {
    expect_error([&] { decode_image(text); }, "neither a JPEG nor a PNG");
    expect_error([&] { image_size(text); }, "neither a JPEG nor a PNG");
  }
  std::string png = png_of(noise_image(8, 8, 3));
  for (const size_t at : {size_t{18}, size_t{22}}) png[at] = char(0x80);  // 32776 x 32776
  const auto crc = uint32_t(crc32(0, reinterpret_cast<const Bytef*>(&png[12]), 17));
  for (size_t i = 0; i < 4; ++i) png[29 + i] = char(crc >> (24 - 8 * i));
  expect_error([&] { decode_image(png); }, "32776 x 32776");
  std::string jpeg = jpeg_of(noise_image(8, 8, 3));
  const size_t frame = jpeg.find("\xff\xc0");
  jpeg[frame + 5] = jpeg[frame + 7] = char(0x80);
  expect_error([&] { decode_image(jpeg); }, "32776 x 32776");
}

// A header costs no more memory than its file can fill: 9000 x 9000 pixels were 243 MB, the chunk a
// gigabyte.
TEST(ImageCodec, RefusesMoreThanTheFileCanHold) {
  const auto with_size = [](std::string png, uint16_t side) {
    for (const size_t at : {size_t{18}, size_t{22}}) {
      png[at] = char(side >> 8);
      png[at + 1] = char(side & 0xff);
    }
    const auto crc = uint32_t(crc32(0, reinterpret_cast<const Bytef*>(&png[12]), 17));
    for (size_t i = 0; i < 4; ++i) png[29 + i] = char(crc >> (24 - 8 * i));
    return png;
  };
  const std::string png = png_of(noise_image(8, 8, 3));
  for (const auto& decode : {+[](const std::string& bytes) { image_size(bytes); },
                             +[](const std::string& bytes) { decode_image(bytes); }}) {
    expect_error([&] { decode(with_size(png, 9000)); }, "9000 x 9000",
                 "far more than its bytes can hold");
    std::string jpeg = jpeg_of(noise_image(8, 8, 3));
    const size_t frame = jpeg.find("\xff\xc0");
    jpeg[frame + 5] = jpeg[frame + 7] = char(0x23);
    expect_error([&] { decode(jpeg); }, "far more than its bytes can hold");
    std::string chunk(
        "\x41\x00\x49\x44"
        "eXIf",
        8);
    expect_error([&] { decode(std::string(png).insert(33, chunk)); }, "ends within a chunk");
  }
  // The most that deflate and the shortest Huffman codes make of a byte.
  const Image black = image_of(2000, 2000, 1, [](int, int, int) { return 0; });
  EXPECT_EQ(
      decode_image(png_of(2000, 2000, 1, PNG_COLOR_TYPE_GRAY, std::string(500000, '\0'))).width,
      2000);
  EXPECT_EQ(decode_image(jpeg_of(black)).width, 2000);
  EXPECT_EQ(decode_image(jpeg_of(black, true)).width, 2000);
  // What stands after the end is not read.
  EXPECT_EQ(decode_image(png + std::string(16, '\xff')).width, 8);
}

}  // namespace
}  // namespace ridgewalk
