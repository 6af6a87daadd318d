#include "supernet/data/loader.h"

#include <gtest/gtest.h>

#include "tests/supernet/data/noise_dataset.h"

namespace ridgewalk {
namespace {

bool same(const Batch& a, const Batch& b) {
  return torch::equal(a.images, b.images) && torch::equal(a.labels, b.labels) &&
         a.targets.defined() == b.targets.defined() &&
         (!a.targets.defined() || torch::equal(a.targets, b.targets));
}

TEST(LoaderTest, GivesTheSameBatchesOnAnyNumberOfThreads) {
  const Dataset data = noise_dataset(100);
  const DrawBatch order = in_order(BatchOrder(100, 16, 3), 7);
  for (const Augmentation& augmentation : {Augmentation{}, everything()}) {
    for (const int threads : {0, 1, 2, 4}) {
      Loader loader(data, data.train, augmentation, order, threads);
      BatchOrder plain(100, 16, 3);
      // In order across epochs, from another number on, and repeated.
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
  const Dataset data = noise_dataset(10);
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
  const Dataset data = noise_dataset(10);
  for (int i = 0; i < 20; ++i) {
    Loader loader(data, data.train, everything(), in_order(BatchOrder(10, 5, 1), 1), 3);
    if (i % 2) loader.get(i);
  }
}

}  // namespace
}  // namespace ridgewalk
