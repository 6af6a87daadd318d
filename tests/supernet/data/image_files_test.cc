// JPEG, PNG, CIFAR and folders of images: what is read, and what is refused.
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "space/error.h"
#include "supernet/data/cifar.h"
#include "supernet/data/image_codec.h"
#include "supernet/data/image_folder.h"
#include "tests/image_files.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

void expect_error(auto run, const std::string& says) {
  try {
    run();
    ADD_FAILURE() << "accepted; expected an error that says: " << says;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
  }
}

Image noise(int height, int width, int channels) {
  std::mt19937 random(1);
  return image_of(height, width, channels, [&](int, int, int) { return int(random() % 256); });
}

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
  const Image image = noise(5, 7, 3);
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
  // Adobe's inks are inverted: 255 is none. Half the black ink halves the light.
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
  for (const std::string& bytes : {jpeg_of(noise(16, 24, 3)), jpeg_of(noise(16, 24, 3), true)}) {
    for (size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_THROW(decode_image(std::string_view(bytes).substr(0, length)), Error) << length;
    }
  }
  const std::string png = png_of(noise(8, 8, 3));
  for (size_t length = 0; length < png.size() - 12; ++length) {  // IEND, the last 12, says nothing
    EXPECT_THROW(decode_image(std::string_view(png).substr(0, length)), Error) << length;
  }
}

TEST(ImageCodec, SurvivesCorruption) {
  const Image image = noise(24, 24, 3);
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
  std::string png = png_of(noise(8, 8, 3));
  for (const size_t at : {size_t{18}, size_t{22}}) png[at] = char(0x80);  // 32776 x 32776
  const auto crc = uint32_t(crc32(0, reinterpret_cast<const Bytef*>(&png[12]), 17));
  for (size_t i = 0; i < 4; ++i) png[29 + i] = char(crc >> (24 - 8 * i));
  expect_error([&] { decode_image(png); }, "32776 x 32776");
  std::string jpeg = jpeg_of(noise(8, 8, 3));
  const size_t frame = jpeg.find("\xff\xc0");
  jpeg[frame + 5] = jpeg[frame + 7] = char(0x80);
  expect_error([&] { decode_image(jpeg); }, "32776 x 32776");
}

class ImageFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("ridgewalk-image-files-" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& bytes) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  std::string path() const { return folder_.string(); }

  fs::path folder_;
};

using CifarFiles = ImageFiles;
using ImageFolders = ImageFiles;

// `labels`, then planes: red counts the pixels, green and blue are `fill` and `fill` + 1.
std::string record(const std::string& labels, int fill) {
  std::string bytes = labels;
  for (int i = 0; i < 1024; ++i) bytes += char(i % 251);
  return bytes + std::string(1024, char(fill)) + std::string(1024, char(fill + 1));
}

TEST_F(CifarFiles, ReadsPlanesAsPixels) {
  for (int i = 1; i <= 5; ++i) {
    write("data_batch_" + std::to_string(i) + ".bin",
          record(std::string(1, char(i)), 10 * i) + record(std::string(1, '\x09'), 0));
  }
  write("test_batch.bin", record(std::string(1, '\0'), 100));
  const Cifar data = read_cifar10(path());
  EXPECT_EQ(data.classes, 10);
  EXPECT_EQ(data.train.labels, (std::vector<uint8_t>{1, 9, 2, 9, 3, 9, 4, 9, 5, 9}));
  ASSERT_EQ(data.train.pixels.size(), 10u * 3072);
  const size_t third = 2 * 3072;  // the first of data_batch_2.bin
  for (size_t i = 0; i < 1024; ++i) {
    ASSERT_EQ(data.train.pixels[third + 3 * i], i % 251);
    ASSERT_EQ(data.train.pixels[third + 3 * i + 1], 20);
    ASSERT_EQ(data.train.pixels[third + 3 * i + 2], 21);
  }
  EXPECT_EQ(data.test.labels, (std::vector<uint8_t>{0}));
}

TEST_F(CifarFiles, TakesTheFineLabelOfCifar100FromTheArchivesFolder) {
  write("cifar-100-binary/train.bin", record("\x13\x63", 1));
  write("cifar-100-binary/test.bin", record(std::string("\0\x05", 2), 1));
  const Cifar data = read_cifar100(path());
  EXPECT_EQ(data.classes, 100);
  EXPECT_EQ(data.train.labels, (std::vector<uint8_t>{99}));
  EXPECT_EQ(data.test.labels, (std::vector<uint8_t>{5}));
}

TEST_F(CifarFiles, SaysWhatIsWrong) {
  expect_error([&] { read_cifar100(path()); }, "train.bin");
  const std::string whole = record("\x01\x02", 1);
  write("test.bin", whole);
  for (size_t length = 1; length < whole.size(); length += 7) {
    write("train.bin", whole.substr(0, length));
    expect_error([&] { read_cifar100(path()); }, "train.bin: has " + std::to_string(length));
  }
  write("train.bin", whole + record("\x13\x64", 1));
  expect_error([&] { read_cifar100(path()); }, "has label 100 at image 1");
  write("train.bin", record("\x14\x01", 1));
  expect_error([&] { read_cifar100(path()); }, "has label 20 at image 0");
}

TEST_F(CifarFiles, SurvivesCorruption) {
  const std::string whole = record("\x01\x02", 1);
  write("test.bin", whole);
  std::mt19937_64 random(1);
  for (int i = 0; i < 300; ++i) {
    std::string bytes = whole;
    bytes[random() % (i % 2 ? 2 : bytes.size())] = char(random());
    write("train.bin", bytes);
    try {
      read_cifar100(path());
    } catch (const Error&) {
    }
  }
}

TEST_F(ImageFolders, ListsClassesAndFilesByName) {
  const std::string png = png_of(noise(3, 3, 3));
  for (const char* name :
       {"train/b/2.PNG", "train/b/1.jpeg", "train/a/x.jpg", "train/a/.hidden.png",
        "train/a/notes.txt", "test/a/1.png", "test/b/1.png", "val/a/1.png"}) {
    write(name, png);  // an extension is no promise
  }
  DamagedFiles damaged(true, true);
  const ImageFolder data = read_image_folder(path(), damaged);
  EXPECT_EQ(data.classes, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(data.train.labels, (std::vector<int>{0, 1, 1}));
  EXPECT_EQ(data.train.paths,
            (std::vector<std::string>{path() + "/train/a/x.jpg", path() + "/train/b/1.jpeg",
                                      path() + "/train/b/2.PNG"}));
  EXPECT_EQ(data.test.labels, (std::vector<int>{0, 1}));
  fs::remove_all(folder_ / "test");
  expect_error([&] { read_image_folder(path(), damaged); }, "'b' is in one of them alone");
  write("val/b/1.png", png);
  EXPECT_EQ(read_image_folder(path(), damaged).test.paths[1], path() + "/val/b/1.png");
}

TEST_F(ImageFolders, LeavesOutWhatIsNoImageUnlessStrict) {
  for (const char* name : {"train/a/1.png", "train/a/2.png", "test/a/1.png"}) {
    write(name, png_of(noise(3, 3, 3)));
  }
  write("train/a/empty.png", "");
  write("train/a/page.jpg", "<html>");
  DamagedFiles damaged(false, true), strict(true, true);
  EXPECT_EQ(read_image_folder(path(), damaged).train.paths.size(), 2u);
  EXPECT_EQ(damaged.count(), 2);
  damaged.add(path() + "/train/a/page.jpg", "again");
  EXPECT_EQ(damaged.count(), 2);
  expect_error([&] { read_image_folder(path(), strict); }, "empty.png: is neither");
}

TEST_F(ImageFolders, SaysWhatIsMissing) {
  DamagedFiles damaged(false, true);
  const auto read = [&] { read_image_folder(path(), damaged); };
  expect_error(read, path() + "/train: cannot be read");
  fs::create_directories(folder_ / "train");
  expect_error(read, "holds no folder");
  write("train/a/1.png", png_of(noise(3, 3, 3)));
  expect_error(read, path() + "/val: cannot be read");
  fs::create_directories(folder_ / "test/a");
  expect_error(read, path() + "/test: holds no JPEG or PNG");
  write("test/a/1.png", png_of(noise(3, 3, 3)));
  fs::create_directories(folder_ / "train/b");
  fs::create_directories(folder_ / "test/b");
  expect_error(read, path() + "/train/b: holds no JPEG or PNG");
}

}  // namespace
}  // namespace ridgewalk
