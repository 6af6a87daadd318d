// Batches of every data set, and the loader that makes them ahead.
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "space/error.h"
#include "supernet/data/loader.h"
#include "tests/image_files.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

// Noise of 8 x 8 RGB pixels in memory.
Dataset in_memory(int64_t count) {
  torch::manual_seed(1);
  const ImageSet set{torch::randint(256, {count, 8, 8, 3}, torch::kUInt8),
                     torch::arange(count).remainder(5)};
  return {.name = "noise",
          .train = set,
          .search_validation = set,
          .test = set,
          .classes = 5,
          .channels = 3,
          .resolution = 8,
          .mean = {0.4, 0.5, 0.6},
          .deviation = {0.2, 0.25, 0.3}};
}

Augmentation everything() {
  return {.random_resized_crop = RandomResizedCrop{.least_area = 0.3},
          .rand_augment = RandAugment{},
          .shift = 1,
          .flip = true,
          .mixup = 0.8,
          .cutmix = 1};
}

bool same(const Batch& a, const Batch& b) {
  return torch::equal(a.images, b.images) && torch::equal(a.labels, b.labels) &&
         a.targets.defined() == b.targets.defined() &&
         (!a.targets.defined() || torch::equal(a.targets, b.targets));
}

TEST(Batches, NormaliseEachChannel) {
  const Dataset data = in_memory(10);
  const Batch batch = make_batch(data, data.train, draws({3}, 0), {});
  for (int c = 0; c < 3; ++c) {
    const double value = data.train.images[3][2][5][c].item<uint8_t>() / 255.0;
    EXPECT_NEAR(batch.images[0][c][2][5].item<float>(),
                (value - data.mean[size_t(c)]) / data.deviation[size_t(c)], 1e-5);
  }
  EXPECT_FALSE(batch.targets.defined());
}

TEST(Batches, AreAFunctionOfEachDrawAlone) {
  const Dataset data = in_memory(40);
  const std::vector<Draw> some = draws({3, 1, 4, 1, 5}, 9);
  const Batch together = make_batch(data, data.train, some, everything());
  for (size_t n = 0; n < some.size(); ++n) {
    const Batch alone = make_batch(data, data.train, std::span(&some[n], 1), everything(), false);
    EXPECT_TRUE(torch::equal(together.images[int64_t(n)], alone.images[0]));
    EXPECT_TRUE(torch::equal(together.targets[int64_t(n)], alone.targets[0]));
  }
}

TEST(Batches, MixLabelsAsTheyMixImages) {
  Dataset data = in_memory(2);
  data.mean = {0, 0, 0};
  data.deviation = {1, 1, 1};
  data.train.images[0].fill_(0);
  data.train.images[1].fill_(255);
  for (const Augmentation& augmentation : {Augmentation{.mixup = 1}, Augmentation{.cutmix = 1}}) {
    std::set<float> shares;
    for (uint64_t seed = 0; seed < 50; ++seed) {
      const Batch batch = make_batch(data, data.train, draws({0}, seed), augmentation);
      const float white = batch.targets[0][1].item<float>();
      EXPECT_NEAR(batch.targets.sum().item<float>(), 1, 1e-6);
      EXPECT_NEAR(batch.images.mean().item<float>(), white, 1e-5);
      EXPECT_EQ(batch.labels[0].item<int64_t>(), 0);
      shares.insert(white);
    }
    EXPECT_GT(shares.size(), 10u);
  }
}

TEST(LoaderTest, GivesTheSameBatchesOnAnyNumberOfThreads) {
  const Dataset data = in_memory(100);
  const DrawBatch order = in_order(BatchOrder(100, 16, 3), 7);
  for (const Augmentation& augmentation : {Augmentation{}, everything()}) {
    for (const int threads : {0, 1, 2, 4}) {
      Loader loader(data, data.train, augmentation, order, threads);
      BatchOrder plain(100, 16, 3);
      // In order over epochs, from another number on, and again.
      for (const int64_t number : {0, 1, 2, 3, 4, 5, 6, 7, 40, 41, 3, 3, 4}) {
        const Batch batch = make_batch(
            data, data.train, draws(plain.indices(number), mix(7, uint64_t(number))), augmentation);
        EXPECT_TRUE(same(loader.get(number), batch)) << threads << " threads, " << number;
      }
      EXPECT_GT(loader.images_per_second(), 0);
    }
  }
}

TEST(LoaderTest, HandsOnWhatItsThreadsThrow) {
  const Dataset data = in_memory(10);
  const DrawBatch order = [](int64_t number) -> std::vector<Draw> {
    if (number == 3) throw std::runtime_error("third");
    return draws({number % 10}, 0);
  };
  for (const int threads : {0, 1, 4}) {
    Loader loader(data, data.train, {}, order, threads);
    for (const int64_t number : {0, 1, 2}) EXPECT_EQ(loader.get(number).labels.size(0), 1);
    EXPECT_THROW(loader.get(3), std::runtime_error);
    EXPECT_EQ(loader.get(4).labels.size(0), 1);
  }
}

TEST(LoaderTest, EndsWithBatchesLeftOver) {
  const Dataset data = in_memory(10);
  for (int i = 0; i < 20; ++i) {
    Loader loader(data, data.train, everything(), in_order(BatchOrder(10, 5, 1), 1), 3);
    if (i % 2) loader.get(i);
  }
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
  Loader loader(
      data, data.train, {}, [&](int64_t) { return all_of(data.train); }, 2);
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
