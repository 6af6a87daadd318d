#include "supernet/data/batch.h"

#include <set>

#include <gtest/gtest.h>

#include "tests/supernet/data/noise_dataset.h"

namespace ridgewalk {
namespace {

TEST(Batches, NormaliseEachChannel) {
  const Dataset data = noise_dataset(10);
  const Batch batch = make_batch(data, data.train, draws({3}, 0), {});
  for (int c = 0; c < 3; ++c) {
    const double value = data.train.images[3][2][5][c].item<uint8_t>() / 255.0;
    EXPECT_NEAR(batch.images[0][c][2][5].item<float>(),
                (value - data.mean[size_t(c)]) / data.deviation[size_t(c)], 1e-5);
  }
  EXPECT_FALSE(batch.targets.defined());
}

TEST(Batches, AreAFunctionOfEachDrawAlone) {
  const Dataset data = noise_dataset(40);
  const std::vector<Draw> some = draws({3, 1, 4, 1, 5}, 9);
  const Batch together = make_batch(data, data.train, some, everything());
  for (size_t n = 0; n < some.size(); ++n) {
    const Batch alone = make_batch(data, data.train, std::span(&some[n], 1), everything(), false);
    EXPECT_TRUE(torch::equal(together.images[int64_t(n)], alone.images[0]));
    EXPECT_TRUE(torch::equal(together.targets[int64_t(n)], alone.targets[0]));
  }
}

TEST(Batches, MixLabelsAsTheyMixImages) {
  Dataset data = noise_dataset(2);
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

}  // namespace
}  // namespace ridgewalk
