#include "supernet/training/train.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "space/decisions.h"
#include "space/error.h"
#include "supernet/formats/weights.h"
#include "tests/helpers.h"
#include "tests/supernet/group_of_threads.h"
#include "tests/supernet/training/short_training.h"
#include "tests/tiny_dataset.h"

namespace ridgewalk {
namespace {

class Training : public TinyDataset {
 protected:
  static Architecture network() {
    std::mt19937_64 random(1);
    SearchSpace space = load_search_space("fashion-mnist");
    Architecture architecture = decode(space, sample(space, random));
    return architecture;
  }
  static TrainOptions options() { return short_training(0.005); }

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
};

// Three steps; the loss of the last one and copies of the state.
std::pair<double, NamedTensors> trained(const Architecture& network, const Dataset& data,
                                        const TrainOptions& options, const Compute& compute) {
  Trainer trainer(network, data, options, compute);
  double loss = 0;
  for (int i = 0; i < 3; ++i) loss = trainer.advance();
  NamedTensors state;
  for (const auto& [name, tensor] : trainer.state()) state.emplace_back(name, tensor.clone());
  return {loss, state};
}

TEST_F(Training, InShardsGivesTheSameBitsWhoeverComputesThem) {
  at::set_num_threads(1);
  TrainOptions options = averaged();
  options.shards = 3;  // of 16, 17 and 17 images
  const auto alone = trained(regularized(), data_, options, {});
  const auto expect_same = [&](const Compute& compute) {
    const auto other = trained(regularized(), data_, options, compute);
    EXPECT_EQ(other.first, alone.first);
    for (size_t i = 0; i < alone.second.size(); ++i) {
      EXPECT_TRUE(torch::equal(other.second[i].second, alone.second[i].second))
          << alone.second[i].first;
    }
  };
  expect_same({.lanes = 2});
  for (int size : {2, 4}) {
    for (int loader_threads : {0, 1}) {
      in_group(size, [&](const std::shared_ptr<ProcessGroup>& group) {
        expect_same({.loader_threads = loader_threads, .group = group});
        group->leave();
      });
    }
  }
  at::set_num_threads(2);
}

// The first norm reads a convolution of the images alone: the mean of the shards' means is the
// batch's; the variances within shards of a few images are less than the batch's.
TEST_F(Training, InShardsAveragesTheirRunningStatistics) {
  const auto statistics = [&](int shards, const char* name) {
    TrainOptions all = options();
    all.shards = shards;
    Trainer trainer(network(), data_, all, {});
    trainer.advance();
    return trainer.parameters().full(name).clone();
  };
  EXPECT_TRUE(torch::allclose(statistics(5, "bn1.running_mean"), statistics(1, "bn1.running_mean"),
                              1e-4, 1e-6));
  EXPECT_GT(statistics(1, "bn1.running_mean").abs().max().item<double>(), 1e-3);
  const torch::Tensor of_shards = statistics(5, "bn1.running_var"),
                      of_batch = statistics(1, "bn1.running_var");
  EXPECT_FALSE(torch::equal(of_shards, of_batch));
  EXPECT_TRUE(torch::allclose(of_shards, of_batch, 0.05));
  TrainOptions many = options();
  many.shards = 26;
  expect_error([&] { Trainer(network(), data_, many, {}); }, "26 shards of a batch of 50 images",
               "give fewer");
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
  const Executor averaged_network(trainer.network().graph(), store);
  const double loss = evaluate(averaged_network, data_, data_.test, {}, {}).loss;
  EXPECT_NEAR(trainer.evaluate(data_.test).loss, loss, 1e-4);

  // Nothing of the training changes.
  Trainer plain(network(), data_, options(), {});
  for (int step = 0; step < 3; ++step) plain.advance();
  EXPECT_TRUE(torch::equal(plain.parameters().values(), trainer.parameters().values()));
  EXPECT_TRUE(torch::equal(plain.result().values(), trainer.parameters().values()));
}

TEST_F(Training, EvaluatesAShareOfASplit) {
  const Trainer trainer(network(), data_, options(), {});
  EXPECT_EQ(trainer.evaluate(data_.train, {.most = 500}).loss, trainer.evaluate(data_.train).loss);
  ImageSet every_fifth{data_.train.images.slice(0, 0, 500, 5).contiguous(),
                       data_.train.labels.slice(0, 0, 500, 5).contiguous()};
  EXPECT_EQ(trainer.evaluate(data_.train, {.most = 100}).loss, trainer.evaluate(every_fifth).loss);
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

// Hinton et al. 2015: the gradient of T^2 CE(softmax(z / T), q) is T (softmax(z / T) - q).
TEST(Loss, TempersTheStudentAndKeepsTheGradientsSize) {
  const torch::Tensor logits = torch::tensor({{2.0f, 0.0f, -1.0f}}).set_requires_grad(true);
  Batch batch;
  batch.targets = torch::tensor({{0.5f, 0.3f, 0.2f}});
  const double t = 4;
  const torch::Tensor loss = classification_loss(logits, batch, 0, t);
  const torch::Tensor soft = torch::softmax(logits.detach() / t, 1);
  EXPECT_NEAR(loss.item<double>(), -t * t * (batch.targets * soft.log()).sum().item<double>(),
              1e-5);
  loss.backward();
  EXPECT_TRUE(torch::allclose(logits.grad(), t * (soft - batch.targets), 1e-5, 1e-6));
  // At 1 and below it is the plain loss.
  const double plain = classification_loss(logits, batch, 0).item<double>();
  EXPECT_EQ(classification_loss(logits, batch, 0, 0.5).item<double>(), plain);
}

// What a checkpoint cannot hold is refused naming the tensor.
TEST(Restoring, RefusesValuesThatCannotBe) {
  const NamedTensors state{{"values", torch::zeros({3})}, {kSecondMoment, torch::zeros({3})}};
  const auto refusal = [&](float value, float moment) {
    const TensorFile file{.metadata = {},
                          .tensors = {{"values", torch::tensor({1.0f, value, 2.0f})},
                                      {kSecondMoment, torch::tensor({1.0f, 2.0f, moment})}}};
    return error_of([&] { restore(state, file, "checkpoint"); });
  };
  EXPECT_EQ(refusal(NAN, 1), "checkpoint: tensor 'values' holds NaN or infinity");
  EXPECT_THAT(refusal(1, -INFINITY), testing::HasSubstr("second_moment' holds NaN"));
  EXPECT_THAT(refusal(1, -1), testing::HasSubstr("holds a negative mean square"));
}

}  // namespace
}  // namespace ridgewalk
