// Fingerprints of data are of contents: names, folders and splits do not change them, pixels do.
#include "supernet/data/content_hash.h"

#include <gtest/gtest.h>

#include "space/hash.h"
#include "supernet/data/dataset.h"
#include "tests/folder_test.h"
#include "tests/image_files.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

class ContentHash : public FolderTest {
 protected:
  // Two classes of six training and two test images, all different.
  void write_images(const std::string& to) {
    int shade = 0;
    for (const char* part : {"train", "test"}) {
      for (const char* name : {"cat", "dog"}) {
        for (int i = 0; i < (part == std::string("train") ? 6 : 2); ++i) {
          const Image image = image_of(8, 8, 3, [&](int, int, int) { return shade; });
          write(to + "/" + part + "/" + name + "/" + std::to_string(i) + ".png", png_of(image));
          shade += 9;
        }
      }
    }
  }
  Dataset load(const std::string& name, int64_t held_out = 0, uint64_t seed = 1) const {
    return load_dataset("imagefolder:" + path(name), held_out, seed, {.resolution = 8});
  }
};

TEST_F(ContentHash, IsOfBytesWhereverTheyAre) {
  EXPECT_NE(hash_of("a"), hash_of("b"));
  EXPECT_NE(hash_of(std::string_view("\0", 1)), hash_of(std::string_view("\0\0", 2)));
  write_images("one");
  fs::copy(path("one"), path("other"), fs::copy_options::recursive);
  EXPECT_EQ(hash_of(load("one")), hash_of(load("other")));
  EXPECT_EQ(training_hash(load("one")), training_hash(load("other")));
}

TEST_F(ContentHash, KnowsOtherPicturesUnderKnownNames) {
  write_images("images");
  const Dataset before = load("images");
  const uint64_t all = hash_of(before), trained = training_hash(before);
  fs::rename(path("images/train/cat"), path("images/train/x"));
  fs::rename(path("images/train/dog"), path("images/train/cat"));
  fs::rename(path("images/train/x"), path("images/train/dog"));
  EXPECT_NE(hash_of(load("images"), load("images").train), hash_of(before, before.train));
  EXPECT_NE(hash_of(load("images")), all);
  EXPECT_NE(training_hash(load("images")), trained);
  EXPECT_EQ(hash_of(load("images"), load("images").test), hash_of(before, before.test));
}

TEST_F(ContentHash, KnowsOneChangedByteAndOneRemovedFile) {
  write_images("images");
  const uint64_t before = hash_of(load("images"));
  const std::string file = path("images/test/cat/1.png");
  const std::string bytes = read(file);
  std::string changed = bytes;
  changed[changed.size() / 2] ^= 1;
  write("images/test/cat/1.png", changed);
  EXPECT_NE(hash_of(load("images")), before);
  write("images/test/cat/1.png", bytes);
  EXPECT_EQ(hash_of(load("images")), before);
  fs::remove(file);
  EXPECT_NE(hash_of(load("images")), before);
}

TEST_F(ContentHash, OfTrainingImagesIsTheSameForEverySplit) {
  write_images("images");
  const Dataset whole = load("images");
  for (const auto& [held_out, seed] : {std::pair(3, 1), {3, 2}, {5, 7}}) {
    const Dataset split = load("images", held_out, uint64_t(seed));
    EXPECT_EQ(training_hash(split), training_hash(whole)) << held_out << ", " << seed;
    EXPECT_NE(hash_of(split, split.train), hash_of(whole, whole.train));
  }
}

TEST_F(ContentHash, OfPixelsInMemory) {
  Dataset data{.name = "noise",
               .train = {torch::arange(48).to(torch::kUInt8).view({3, 4, 4, 1}), torch::arange(3)},
               .search_validation = {{}, torch::empty({0}, torch::kLong)},
               .test = {torch::zeros({1, 4, 4, 1}, torch::kUInt8), torch::zeros({1}, torch::kLong)},
               .classes = 3};
  const uint64_t all = hash_of(data), trained = training_hash(data);
  data.test.images[0][1][2][0] = 1;
  EXPECT_NE(hash_of(data), all);
  EXPECT_EQ(training_hash(data), trained);
  data.train.labels[2] = 0;
  EXPECT_NE(training_hash(data), trained);
}

}  // namespace
}  // namespace ridgewalk
