#include "supernet/supernet.h"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "space/decisions.h"
#include "space/lowering.h"
#include "tests/tiny_dataset.h"

namespace ridgewalk {
namespace {

using Supernets = TinyDataset;

TEST_F(Supernets, TrainsSamplesOfEveryKindAndRepeatsItself) {
  const SearchSpace space = load_search_space("fashion-mnist");
  const SupernetOptions options{.steps = 4,
                                .batch_size = 16,
                                .validation_batch_size = 50,
                                .optimizer = {.learning_rate = 0.05},
                                .augmentation = {},
                                .seed = 5};
  std::vector<double> accuracies[2];
  torch::Tensor values[2];
  for (int run = 0; run < 2; ++run) {
    Supernet supernet(space, data_, options, {});
    std::mt19937_64 random(3);
    for (int step = 0; step < 4; ++step) {
      std::vector<Decisions> samples{sample(space, random), sample(space, random)};
      EXPECT_TRUE(std::isfinite(supernet.train(step, samples)));
      accuracies[run] = supernet.accuracy(step, samples);
    }
    values[run] = supernet.parameters().values().clone();
  }
  EXPECT_EQ(accuracies[0], accuracies[1]);
  EXPECT_TRUE(torch::equal(values[0], values[1]));
}

TEST_F(Supernets, ANarrowSampleLeavesTheRestOfTheWeightsUntouched) {
  const SearchSpace space = load_search_space("fashion-mnist");
  Supernet supernet(
      space, data_,
      {.steps = 4, .batch_size = 16, .optimizer = {.weight_decay = 0}, .augmentation = {}}, {});
  const auto before = supernet.parameters().values().clone();
  const Decisions narrowest(choice_layout(space).count, 0);
  Decisions sample = narrowest;
  deactivate_unused(space, choice_layout(space), sample);
  supernet.train(0, std::vector<Decisions>{sample});
  const auto changed = supernet.parameters().values().ne(before).sum().item<int64_t>();
  EXPECT_GT(changed, 0);
  EXPECT_LE(changed, parameter_count(lower(decode(space, sample))));
}

}  // namespace
}  // namespace ridgewalk
