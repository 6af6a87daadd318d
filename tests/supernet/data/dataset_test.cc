#include "supernet/data/dataset.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "space/error.h"
#include "space/random.h"
#include "supernet/data/batch.h"
#include "supernet/data/loader.h"
#include "tests/folder_test.h"
#include "tests/helpers.h"
#include "tests/image_files.h"
#include "tests/tiny_dataset.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

using DatasetTest = TinyDataset;

TEST_F(DatasetTest, HoldsSearchValidationOutOfTheTrainingImages) {
  EXPECT_EQ(data_.train.size(), 500);
  EXPECT_EQ(data_.search_validation.size(), 100);
  EXPECT_EQ(data_.test.size(), 200);
  const Dataset all = load_dataset("idx:" + folder_, 0, 1);
  const auto key = [](const torch::Tensor& image) {
    const auto* bytes = image.data_ptr<uint8_t>();
    return std::string(bytes, bytes + image.numel());
  };
  std::multiset<std::string> parts, whole;
  for (int64_t i = 0; i < 500; ++i) parts.insert(key(data_.train.images[i]));
  for (int64_t i = 0; i < 100; ++i) parts.insert(key(data_.search_validation.images[i]));
  for (int64_t i = 0; i < 600; ++i) whole.insert(key(all.train.images[i]));
  EXPECT_EQ(parts, whole);
}

TEST_F(DatasetTest, EachEpochIsAPermutationAndBatchesRepeat) {
  BatchOrder order(500, 50, 9), again(500, 50, 9);
  std::set<int64_t> seen;
  for (int64_t b = 0; b < 10; ++b) {
    for (int64_t index : order.indices(b)) seen.insert(index);
  }
  EXPECT_EQ(seen.size(), 500u);
  EXPECT_NE(order.indices(0), order.indices(10));
  EXPECT_EQ(order.indices(13), again.indices(13));  // whatever was asked for before
}

TEST_F(DatasetTest, BatchesAreNormalisedAndChannelsLast) {
  std::vector<int64_t> indices(500);
  std::iota(indices.begin(), indices.end(), 0);
  const Batch batch = make_batch(data_, data_.train, draws(indices, 0), {});
  EXPECT_EQ(batch.images.sizes().vec(), (std::vector<int64_t>{500, 1, 28, 28}));
  EXPECT_NEAR(batch.images.mean().item<double>(), 0, 1e-4);
  EXPECT_NEAR(batch.images.std().item<double>(), 1, 1e-3);
}

TEST_F(DatasetTest, AugmentationMirrorsAndShiftsByWholePixels) {
  const Batch plain = make_batch(data_, data_.train, draws({0}, 0), {});
  std::set<bool> mirrored;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Batch flipped =
        make_batch(data_, data_.train, draws({0}, seed), {.shift = 0, .flip = true});
    const bool same = torch::equal(flipped.images, plain.images);
    EXPECT_TRUE(same || torch::equal(flipped.images, plain.images.flip(3)));
    mirrored.insert(same);
  }
  EXPECT_EQ(mirrored.size(), 2u);
}

TEST_F(DatasetTest, SaysWhatIsMissing) {
  EXPECT_THROW(load_dataset("idx:/no/such/folder", 0, 1), Error);
  EXPECT_THROW(load_dataset("imagenet", 0, 1), Error);
  EXPECT_THROW(load_dataset("idx:" + folder_, 600, 1), Error);
}

// Two classes, red and blue, of JPEG and PNG images of several sizes; two files are damaged.
class FolderSets : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("ridgewalk-folder-" + std::to_string(getpid()));
    for (const std::string part : {"train", "val"}) {
      for (int label = 0; label < 2; ++label) {
        const fs::path to = folder_ / part / (label ? "red" : "blue");
        fs::create_directories(to);
        for (int i = 0; i < 6; ++i) {
          const Image image = image_of(20 + 7 * i, 64 - 5 * i, 3, [&](int, int, int c) {
            return (c == 0) == (label == 1) && c != 1 ? 200 + i : 10;
          });
          std::ofstream(to / (std::to_string(i) + (i % 2 ? ".jpg" : ".png")), std::ios::binary)
              << (i % 2 ? jpeg_of(image) : png_of(image));
        }
      }
    }
    fs::resize_file(folder_ / "train/red/1.jpg", 300);
    fs::resize_file(folder_ / "train/blue/2.png", 60);
  }
  void TearDown() override { fs::remove_all(folder_); }

  Dataset load(int64_t held_out, bool strict = false) const {
    return load_dataset("imagefolder:" + folder_.string(), held_out, 1,
                        {.resolution = 16, .strict = strict, .quiet = true});
  }

  fs::path folder_;
};

std::vector<Draw> all_of(const ImageSet& set) {
  std::vector<Draw> list;
  for (int64_t i = 0; i < set.size(); ++i) list.push_back({i, mix(1, uint64_t(i))});
  return list;
}

TEST_F(FolderSets, GiveSquaresOfTheirClassesColour) {
  const Dataset data = load(0);
  EXPECT_EQ(data.classes, 2);
  EXPECT_EQ(data.train.size(), 12);
  for (const Augmentation& augmentation :
       {Augmentation{}, Augmentation{.random_resized_crop = RandomResizedCrop{}, .flip = true}}) {
    const Batch batch = make_batch(data, data.train, all_of(data.train), augmentation);
    EXPECT_EQ(batch.images.sizes().vec(), (std::vector<int64_t>{12, 3, 16, 16}));
    const auto redder = batch.images.select(1, 0).gt(batch.images.select(1, 2)).all(2).all(1);
    EXPECT_TRUE(torch::equal(redder, batch.labels.eq(1)));
  }
  EXPECT_EQ(data.damaged->count(), 2);
}

TEST_F(FolderSets, HoldOutImagesAndStandInForDamagedOnes) {
  const Dataset data = load(4);
  EXPECT_EQ(data.train.size(), 8);
  EXPECT_EQ(data.search_validation.size(), 4);
  std::set<std::string> paths(data.train.paths.begin(), data.train.paths.end());
  paths.insert(data.search_validation.paths.begin(), data.search_validation.paths.end());
  EXPECT_EQ(paths.size(), 12u);
  EXPECT_EQ(load(4).search_validation.paths, data.search_validation.paths);

  Dataset one = load(0);
  const auto& files = one.train.paths;
  const auto damaged =
      std::find(files.begin(), files.end(), (folder_ / "train/blue/2.png").string());
  const int64_t at = damaged - files.begin();
  const Batch both = make_batch(one, one.train, draws({at, (at + 1) % 12}, 0), {});
  EXPECT_TRUE(torch::equal(both.images[0], both.images[1]));
  EXPECT_EQ(both.labels[0].item<int64_t>(), both.labels[1].item<int64_t>());
  for (const std::string& path : one.train.paths) fs::resize_file(path, 20);
  EXPECT_THROW(make_batch(one, one.train, draws({2}, 0), {}), Error);
}

TEST_F(FolderSets, StopAtADamagedFileWhenStrict) {
  const Dataset data = load(0, true);
  Loader loader(data, data.train, {}, [&](int64_t) { return all_of(data.train); }, 2);
  try {
    loader.get(0);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("blue/2.png"), std::string::npos) << error.what();
  }
}

TEST_F(FolderSets, NeedAFolder) {
  EXPECT_THROW(load_dataset("imagefolder:", 0, 1), Error);
  EXPECT_THROW(load_dataset("imagefolder:/no/such/folder", 0, 1), Error);
  EXPECT_THROW(load_dataset("cifar10:" + folder_.string(), 0, 1), Error);
  EXPECT_THROW(load(12), Error);
}

TEST(Cifar10Set, IsNormalisedByChannel) {
  const fs::path folder =
      fs::temp_directory_path() / ("ridgewalk-cifar-" + std::to_string(getpid()));
  fs::create_directories(folder);
  for (const char* name : {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                           "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"}) {
    std::string bytes;
    for (int i = 0; i < 4; ++i) {
      bytes += char(i);
      for (int p = 0; p < 3072; ++p) bytes += char((p * (i + 3) + p / 1024 * 50) % 200);
    }
    std::ofstream(folder / name, std::ios::binary) << bytes;
  }
  const Dataset data = load_dataset("cifar10:" + folder.string(), 0, 1);
  fs::remove_all(folder);
  EXPECT_EQ(data.classes, 10);
  EXPECT_EQ(data.resolution, 32);
  EXPECT_EQ(data.train.size(), 20);
  const Batch batch = make_batch(data, data.train, all_of(data.train), {});
  for (int c = 0; c < 3; ++c) {
    EXPECT_NEAR(batch.images.select(1, c).mean().item<double>(), 0, 1e-4);
    EXPECT_NEAR(batch.images.select(1, c).std().item<double>(), 1, 1e-3);
  }
}

}  // namespace
}  // namespace ridgewalk
