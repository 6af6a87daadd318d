#include "supernet/data/cifar.h"

#include <random>

#include <gtest/gtest.h>

#include "space/error.h"
#include "tests/folder_test.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using CifarFiles = FolderTest;

// `labels`, then three planes: red counts the pixels, green is `fill` and blue `fill` + 1.
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

}  // namespace
}  // namespace ridgewalk
