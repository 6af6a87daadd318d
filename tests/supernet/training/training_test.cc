// Data sets, optimisers, training and the supernet on a small learnable set of images.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include <gtest/gtest.h>

#include "space/error.h"
#include "supernet/formats/weights.h"
#include "supernet/supernet.h"
#include "tests/tiny_images.h"

namespace ridgewalk {
namespace {

class Training : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    at::set_num_threads(2);
    folder_ = write_tiny_images(600, 200);
    data_ = load_dataset("idx:" + folder_, 100, 1);
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }

  static Architecture network() {
    std::mt19937_64 random(1);
    SearchSpace space = load_search_space("fashion-mnist");
    Architecture architecture = decode(space, sample(space, random));
    return architecture;
  }
  static TrainOptions options() {
    TrainOptions options;
    options.epochs = 2;
    options.batch_size = 50;
    options.optimizer = {.kind = OptimizerKind::kAdamW, .learning_rate = 0.005};
    options.augmentation = {.shift = 1, .flip = true};
    options.seed = 3;
    return options;
  }

  // All that has a state or draws: averages, clipping, dropout.
  static TrainOptions averaged() {
    TrainOptions all = options();
    all.ema = 0.99;
    all.optimizer.clip_norm = 1;
    all.optimizer.l2 = 1e-4;
    return all;
  }
  static Architecture regularized() {
    Architecture architecture = network();
    architecture.regularization = {.drop_path = 0.1, .dropout = 0.2};
    return architecture;
  }

  static inline std::string folder_;
  static inline Dataset data_;
};

using DatasetTest = Training;
using Supernets = Training;

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
  EXPECT_EQ(order.indices(13), again.indices(13));  // whatever was asked before
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

// One parameter, against the update rules of torch.optim.
TEST(Optimizer, AgreesWithTorch) {
  const SearchSpace space = load_search_space("fashion-mnist");
  const Graph graph = lower(covering(space)[0]);
  for (OptimizerKind kind : {OptimizerKind::kSgd, OptimizerKind::kAdamW}) {
    ParameterStore store(graph);
    store.initialize(1);
    const OptimizerOptions options{
        .kind = kind, .learning_rate = 0.1, .warmup = 0, .weight_decay = 0};
    Optimizer ours(store, options);
    torch::Tensor theirs =
        store.values().narrow(0, 0, store.learned()).clone().set_requires_grad(true);
    std::unique_ptr<torch::optim::Optimizer> reference;
    if (kind == OptimizerKind::kSgd) {
      reference = std::make_unique<torch::optim::SGD>(
          std::vector<torch::Tensor>{theirs},
          torch::optim::SGDOptions(0.1).momentum(0.9).nesterov(true));
    } else {
      reference = std::make_unique<torch::optim::AdamW>(
          std::vector<torch::Tensor>{theirs},
          torch::optim::AdamWOptions(0.1).betas({0.9, 0.999}).eps(1e-8).weight_decay(0));
    }
    for (int step = 0; step < 5; ++step) {
      const auto gradient = torch::randn({store.learned()});
      store.grads().copy_(gradient);
      theirs.mutable_grad() = gradient.clone();
      const double rate = 0.1 * schedule(step, 10, 0);
      for (auto& group : reference->param_groups()) group.options().set_lr(rate);
      ours.step(step, 10);
      reference->step();
    }
    const auto values = store.values().narrow(0, 0, store.learned());
    EXPECT_TRUE(torch::allclose(values, theirs.detach(), 1e-5, 1e-6)) << int(kind);
    EXPECT_EQ(store.grads().abs().sum().item<double>(), 0);
  }
}

TEST(Optimizer, DecaysWeightsAndSparesNormsAndBiases) {
  const SearchSpace space = load_search_space("fashion-mnist");
  ParameterStore store(lower(covering(space)[0]));
  store.initialize(1);
  const auto before = store.values().clone();
  Optimizer optimizer(store, {.learning_rate = 0.1, .warmup = 0, .weight_decay = 0.5});
  optimizer.step(0, 10);
  const auto after = store.values();
  EXPECT_TRUE(torch::allclose(after.narrow(0, 0, store.decayed()),
                              before.narrow(0, 0, store.decayed()) * 0.95));
  const int64_t rest = store.learned() - store.decayed();
  EXPECT_TRUE(torch::equal(after.narrow(0, store.decayed(), rest),
                           before.narrow(0, store.decayed(), rest)));
}

// A convolution and its norm: few enough values to set each gradient.
ParameterStore small_store() {
  return ParameterStore(lower(architecture_from_yaml(R"(
name: small
resolution: 8
channels: 1
classes: 2
stem: {block: conv, kernel: 1, stride: 1, width: 1}
stages: []
head: {width: 0, features: 0}
)",
                                                     "small.yaml")));
}

TEST(Optimizer, ClipsByTheNormOfAllGradients) {
  // A gradient (3, 4, 0, ...) of norm 5 becomes (1.5, 2, 0, ...) of norm 2.5; one of norm 2 stays.
  for (const auto& [clip, first, second] :
       {std::tuple(2.5, 1.5, 2.0), std::tuple(5.0, 3.0, 4.0), std::tuple(0.0, 3.0, 4.0)}) {
    ParameterStore store = small_store();
    Optimizer optimizer(store, {.learning_rate = 1, .warmup = 0, .momentum = 0, .clip_norm = clip});
    store.grads()[0] = 3;
    store.grads()[store.learned() - 1] = 4;
    optimizer.step(0, 10);
    EXPECT_FLOAT_EQ(store.values()[0].item<float>(), float(-first));
    EXPECT_FLOAT_EQ(store.values()[store.learned() - 1].item<float>(), float(-second));
  }
}

TEST(Optimizer, L2AddsTheWeightsToTheirGradients) {
  ParameterStore store = small_store();
  store.values().fill_(2);
  Optimizer optimizer(store, {.learning_rate = 1, .warmup = 0, .momentum = 0, .l2 = 0.25});
  optimizer.step(0, 10);
  EXPECT_FLOAT_EQ(store.values()[0].item<float>(), 1.5);  // 2 - 0.25 * 2
  EXPECT_FLOAT_EQ(store.values()[store.decayed()].item<float>(), 2);
}

// Two steps of tf.compat.v1.train.RMSPropOptimizer by hand, gradient 2: the mean square starts at
// 1, epsilon stands under the root.
TEST(Optimizer, RmsPropIsTensorFlows) {
  ParameterStore store = small_store();
  const double rate = 0.1;
  Optimizer optimizer(store, {.kind = OptimizerKind::kRmsProp,
                              .learning_rate = rate,
                              .warmup = 0,
                              .cosine_alpha = 1,
                              .momentum = 0.9,
                              .decay = 0.9,
                              .epsilon = 1});
  const double square1 = 0.9 * 1 + 0.1 * 4;
  const double moment1 = rate * 2 / std::sqrt(square1 + 1);
  const double square2 = 0.9 * square1 + 0.1 * 4;
  const double moment2 = 0.9 * moment1 + rate * 2 / std::sqrt(square2 + 1);
  for (int step = 0; step < 2; ++step) {
    store.grads().fill_(2);
    optimizer.step(step, 10);
  }
  EXPECT_NEAR(store.values()[0].item<double>(), -moment1 - moment2, 1e-7);
}

TEST(Average, FollowsTheValuesFasterAtTheStart) {
  const torch::Tensor average = torch::tensor({1.0f});
  update_average(average, torch::tensor({2.0f}), 0.9999, 0);  // 0.1 * 1 + 0.9 * 2
  EXPECT_FLOAT_EQ(average.item<float>(), 1.9f);
  update_average(average, torch::tensor({4.0f}), 0.9999, 1);  // (2 * 1.9 + 9 * 4) / 11
  EXPECT_FLOAT_EQ(average.item<float>(), 39.8f / 11);
  update_average(average, torch::tensor({0.0f}), 0.2, 2);  // 3 / 12 > 0.2
  EXPECT_FLOAT_EQ(average.item<float>(), 0.2f * 39.8f / 11);
}

TEST(Schedule, WarmsUpThenFallsToZero) {
  EXPECT_DOUBLE_EQ(schedule(0, 100, 0.1), 0.1);
  EXPECT_DOUBLE_EQ(schedule(9, 100, 0.1), 1);
  EXPECT_DOUBLE_EQ(schedule(10, 100, 0.1), 1);
  EXPECT_NEAR(schedule(55, 100, 0.1), 0.5, 1e-9);
  EXPECT_LT(schedule(99, 100, 0.1), 0.001);
  EXPECT_NEAR(schedule(99, 100, 0.1, 0.25), 0.25, 0.001);
  EXPECT_DOUBLE_EQ(schedule(10, 100, 0.1, 0.25), 1);
}

TEST_F(Training, LearnsAndRepeatsItselfBitForBitAfterAResume) {
  Trainer whole(regularized(), data_, averaged(), {});
  const double first = whole.advance();
  while (whole.step() < whole.steps() / 2) whole.advance();
  TensorFile saved;
  for (const auto& [name, tensor] : whole.state()) saved.tensors.emplace_back(name, tensor.clone());
  const int at = whole.step();
  double last = 0;
  while (whole.step() < whole.steps()) last = whole.advance();
  EXPECT_LT(last, first);
  EXPECT_GT(whole.evaluate(data_.test).top1, 0.5);

  Trainer resumed(regularized(), data_, averaged(), {});
  restore(resumed.state(), saved, "checkpoint");
  resumed.set_step(at);
  while (resumed.step() < resumed.steps()) resumed.advance();
  EXPECT_TRUE(torch::equal(whole.parameters().values(), resumed.parameters().values()));
  EXPECT_TRUE(torch::equal(whole.result().values(), resumed.result().values()));
}

TEST_F(Training, EvaluatesAndSavesTheAverageOfTheWeights) {
  TrainOptions with_average = options();
  with_average.ema = 0.5;
  Trainer trainer(network(), data_, with_average, {});
  torch::Tensor average = trainer.parameters().values().clone();
  for (int step = 0; step < 3; ++step) {
    trainer.advance();
    const double decay = std::min(0.5, (1.0 + step) / (10.0 + step));
    average = decay * average + (1 - decay) * trainer.parameters().values();
  }
  EXPECT_TRUE(torch::allclose(trainer.result().values(), average));
  EXPECT_FALSE(torch::allclose(trainer.parameters().values(), average));
  ParameterStore store(trainer.network().graph());
  store.values().copy_(average);
  const double loss = evaluate(Executor(trainer.network().graph(), store), data_, data_.test,
                               NormMode::kRunning, {}, 500)
                          .loss;
  EXPECT_NEAR(trainer.evaluate(data_.test).loss, loss, 1e-4);

  // Nothing of the training changes.
  Trainer plain(network(), data_, options(), {});
  for (int step = 0; step < 3; ++step) plain.advance();
  EXPECT_TRUE(torch::equal(plain.parameters().values(), trainer.parameters().values()));
  EXPECT_TRUE(torch::equal(plain.result().values(), trainer.parameters().values()));
}

TEST_F(Training, EvaluatesAShareOfASplit) {
  const Trainer trainer(network(), data_, options(), {});
  EXPECT_EQ(trainer.evaluate(data_.train, 500).loss, trainer.evaluate(data_.train).loss);
  ImageSet every_fifth{data_.train.images.slice(0, 0, 500, 5).contiguous(),
                       data_.train.labels.slice(0, 0, 500, 5).contiguous()};
  EXPECT_EQ(trainer.evaluate(data_.train, 100).loss, trainer.evaluate(every_fifth).loss);
}

TEST_F(Training, RefusesANetworkOfOtherChannelsOrClasses) {
  Architecture architecture = network();
  architecture.classes = 11;
  EXPECT_THROW(Trainer(architecture, data_, options(), {}), Error);
}

TEST_F(Training, StartsFromGivenWeights) {
  Trainer trainer(network(), data_, options(), {});
  trainer.advance();
  TrainOptions from = options();
  from.initial_weights = folder_ + "/weights.safetensors";
  save_weights(from.initial_weights, trainer.parameters());
  const Trainer tuned(network(), data_, from, {});
  EXPECT_TRUE(torch::equal(tuned.state()[0].second, trainer.parameters().values()));
}

TEST_F(Training, DropsAsTheArchitectureSaysUnlessTold) {
  Architecture architecture = network();
  architecture.regularization = {.drop_path = 0.5, .dropout = 0.5};
  TrainOptions plain = options();
  plain.drop_path = plain.dropout = 0;
  const double undropped = Trainer(network(), data_, options(), {}).advance();
  EXPECT_EQ(Trainer(architecture, data_, plain, {}).advance(), undropped);
  const double dropped = Trainer(architecture, data_, options(), {}).advance();
  EXPECT_NE(dropped, undropped);
  EXPECT_EQ(Trainer(architecture, data_, options(), {}).advance(), dropped);
  // The option is a peak, whatever the architecture's rate is.
  TrainOptions peak = options();
  peak.drop_path = 0.5;
  architecture.regularization.flat_drop_path = true;
  EXPECT_EQ(Trainer(architecture, data_, peak, {}).advance(), dropped);
}

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
