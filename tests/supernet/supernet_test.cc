#include "supernet/supernet.h"

#include <cmath>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "space/decisions.h"
#include "space/error.h"
#include "space/lowering.h"
#include "supernet/training/lanes.h"
#include "tests/supernet/group_of_threads.h"
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

// Three steps of four samples, with blends, then an evaluation: all that a search sees of a
// supernet.
class LanesOfASupernet : public TinyDataset {
 protected:
  struct Run {
    std::vector<double> losses, accuracies;
    Accuracy validated;
    NamedTensors state;  // copies
  };
  static constexpr int kSteps = 3;

  void SetUp() override {
    set_threads(1);
    quantized_ = Quantized::kOff;
    ema_ = 0;
    distils_ = false;
    calibration_images_ = 0;
  }

  static std::vector<Decisions> samples(int step) {
    std::mt19937_64 random{uint64_t(step)};
    std::vector<Decisions> list;
    for (int k = 0; k < 4; ++k) list.push_back(sample(space(), random));
    const std::vector<Choice> all = choices(space());
    for (size_t c = 0; c < all.size() && step == 0; ++c) {
      const bool blends = all[c].kind == ChoiceKind::kOperation && all[c].options.size() > 1;
      list[1][c] = blends ? kBlend : all[c].widest;
    }
    if (step == 0) deactivate_unused(space(), choice_layout(space()), list[1]);
    return list;
  }
  static const SearchSpace& space() {
    static const SearchSpace space = load_search_space("fashion-mnist");
    return space;
  }

  // From `step` on, where a supernet that has trained so far has left `state`.
  static Run run(int lanes, DataType precision, int first = 0, int end = kSteps,
                 const NamedTensors& state = {}) {
    return run(Compute{.precision = precision, .lanes = lanes}, first, end, state);
  }
  static Run run(const Compute& compute, int first = 0, int end = kSteps,
                 const NamedTensors& state = {}) {
    const SupernetOptions options{.steps = kSteps,
                                  .samples_per_step = 4,
                                  .batch_size = 16,
                                  .validation_batch_size = 30,
                                  .optimizer = {.learning_rate = 0.05, .l2 = 1e-4, .clip_norm = 1},
                                  .augmentation = {.shift = 1, .flip = true},
                                  .seed = 5,
                                  .quantized = quantized_,
                                  .ema = ema_,
                                  .distils_in_place = distils_,
                                  .calibration_images = calibration_images_};
    Supernet supernet(space(), data_, options, compute);
    restore(supernet.state(), {.metadata = {}, .tensors = state.empty() ? supernet.state() : state},
            "checkpoint");
    Run run;
    for (int step = first; step < end; ++step) {
      run.losses.push_back(supernet.train(step, samples(step)));
      run.accuracies = supernet.accuracy(step, samples(step));
    }
    run.validated = supernet.validate(samples(1)[0]);
    for (const auto& [name, tensor] : supernet.state()) {
      run.state.emplace_back(name, tensor.clone());
    }
    return run;
  }

  static inline Quantized quantized_ = Quantized::kOff;
  static inline double ema_ = 0;
  static inline bool distils_ = false;
  static inline int calibration_images_ = 0;

  static void expect_same(const Run& a, const Run& b) {
    EXPECT_EQ(a.losses.back(), b.losses.back());
    EXPECT_EQ(a.accuracies, b.accuracies);
    EXPECT_EQ(a.validated.loss, b.validated.loss);
    EXPECT_EQ(a.validated.top5, b.validated.top5);
    ASSERT_EQ(a.state.size(), b.state.size());
    for (size_t i = 0; i < a.state.size(); ++i) {
      EXPECT_TRUE(torch::equal(a.state[i].second, b.state[i].second)) << a.state[i].first;
    }
  }
};

TEST_F(LanesOfASupernet, GiveTheSameBitsHoweverManyTheyAre) {
  for (DataType precision : {DataType::kFp32, DataType::kBf16}) {
    const Run one = run(1, precision);
    EXPECT_EQ(one.losses.size(), size_t(kSteps));
    for (int lanes : {2, 3}) expect_same(run(lanes, precision), one);
  }
}

TEST_F(LanesOfASupernet, GiveTheSameBitsInAnyNumberOfProcesses) {
  const Run alone = run(1, DataType::kFp32);
  for (int size : {2, 3}) {
    // With batches made when they are asked for, and with threads that make them ahead.
    for (int loader_threads : {0, 2}) {
      in_group(size, [&](const std::shared_ptr<ProcessGroup>& group) {
        const Compute compute{
            .loader_threads = loader_threads, .lanes = 1 + group->rank(), .group = group};
        expect_same(run(compute), alone);
        // From where another number of processes has stopped.
        expect_same(run(compute, 1, kSteps, run(compute, 0, 1).state), alone);
        group->leave();
      });
    }
  }
}

TEST_F(LanesOfASupernet, MayBeOtherNumbersAfterAResume) {
  const Run whole = run(1, DataType::kFp32);
  const Run stopped = run(3, DataType::kFp32, 0, 1);
  expect_same(run(2, DataType::kFp32, 1, kSteps, stopped.state), whole);
}

TEST_F(LanesOfASupernet, GiveTheSameBitsAndResumeWhereNetworksAreQuantized) {
  const Run real = run(1, DataType::kFp32);
  for (Quantized quantized : {Quantized::kJudged, Quantized::kTrained}) {
    quantized_ = quantized;
    const Run whole = run(1, DataType::kFp32);
    expect_same(run(3, DataType::kFp32), whole);
    const Run stopped = run(3, DataType::kFp32, 0, 1);
    expect_same(run(2, DataType::kFp32, 1, kSteps, stopped.state), whole);
    EXPECT_NE(whole.validated.loss, real.validated.loss);
    EXPECT_NEAR(whole.validated.loss, real.validated.loss, 0.1 * real.validated.loss);
    const bool trains_alike = torch::equal(whole.state[0].second, real.state[0].second);
    EXPECT_EQ(trains_alike, quantized == Quantized::kJudged);
  }
}

TEST_F(LanesOfASupernet, GiveTheSameBitsAndResumeWhereWeightsAreAveraged) {
  ema_ = 0.9;
  const Run whole = run(1, DataType::kFp32);
  expect_same(run(3, DataType::kFp32), whole);
  const Run stopped = run(3, DataType::kFp32, 0, 1);
  expect_same(run(2, DataType::kFp32, 1, kSteps, stopped.state), whole);
  in_group(2, [&](const std::shared_ptr<ProcessGroup>& group) {
    expect_same(run(Compute{.lanes = 1 + group->rank(), .group = group}), whole);
    group->leave();
  });
}

// After three steps from v0 to v3 by hand: the decay is the lesser of that given and 1/10, 2/11,
// 3/12, and starts from v0.
TEST_F(LanesOfASupernet, JudgeByTheAverageOfTheirSteps) {
  const auto options = [](double ema) {
    return SupernetOptions{.steps = 3,
                           .batch_size = 16,
                           .validation_batch_size = 50,
                           .optimizer = {.learning_rate = 0.05},
                           .seed = 5,
                           .ema = ema};
  };
  Supernet plain(space(), data_, options(0), {}), averaged(space(), data_, options(0.2), {});
  torch::Tensor average = plain.parameters().values().to(torch::kDouble);
  for (int step = 0; step < 3; ++step) {
    const double decay = std::vector{1.0 / 10, 2.0 / 11, 0.2}[size_t(step)];
    EXPECT_EQ(plain.train(step, samples(step)), averaged.train(step, samples(step)));
    average = decay * average + (1 - decay) * plain.parameters().values().to(torch::kDouble);
  }
  EXPECT_TRUE(torch::equal(plain.parameters().values(), averaged.parameters().values()));
  const torch::Tensor judged = averaged.judged_parameters().values();
  EXPECT_TRUE(torch::allclose(judged.to(torch::kDouble), average, 1e-5, 1e-6));
  EXPECT_FALSE(torch::equal(judged, plain.parameters().values()));
  // Judged as weights that are the average.
  const std::vector<Decisions> some = samples(1);
  const double by_steps = plain.validate(some[0]).loss;
  plain.parameters().values().copy_(judged);
  EXPECT_EQ(averaged.validate(some[0]).loss, plain.validate(some[0]).loss);
  EXPECT_NE(averaged.validate(some[0]).loss, by_steps);
  EXPECT_EQ(averaged.accuracy(3, some), plain.accuracy(3, some));
}

TEST_F(LanesOfASupernet, GiveTheSameBitsAndResumeWhereTheFirstSampleTeaches) {
  distils_ = true;
  for (DataType precision : {DataType::kFp32, DataType::kBf16}) {
    const Run whole = run(1, precision);
    for (int lanes : {2, 3}) expect_same(run(lanes, precision), whole);
    const Run stopped = run(3, precision, 0, 1);
    expect_same(run(2, precision, 1, kSteps, stopped.state), whole);
  }
  const Run alone = run(1, DataType::kFp32);
  for (int size : {2, 3}) {
    for (int loader_threads : {0, 2}) {
      in_group(size, [&](const std::shared_ptr<ProcessGroup>& group) {
        const Compute compute{
            .loader_threads = loader_threads, .lanes = 1 + group->rank(), .group = group};
        expect_same(run(compute), alone);
        group->leave();
      });
    }
  }
}

// Statistics of 60 images in two batches.
TEST_F(LanesOfASupernet, GiveTheSameBitsAndResumeWhereNormsAreCalibrated) {
  calibration_images_ = 60;
  ema_ = 0.5;
  for (DataType precision : {DataType::kFp32, DataType::kBf16}) {
    const Run whole = run(1, precision);
    for (int lanes : {2, 3}) expect_same(run(lanes, precision), whole);
    const Run stopped = run(3, precision, 0, 1);
    expect_same(run(2, precision, 1, kSteps, stopped.state), whole);
  }
  const Run alone = run(1, DataType::kFp32);
  in_group(2, [&](const std::shared_ptr<ProcessGroup>& group) {
    expect_same(run(Compute{.lanes = 1 + group->rank(), .group = group}), alone);
    group->leave();
  });
}

// The first norm's mean is that of what the stem's convolution gives all training images, in two
// batches of 250. Where the training images are those of the validation, so are the statistics, but
// for the variance, of which n / (n - 1) is kept.
TEST_F(LanesOfASupernet, JudgeByTheStatisticsOfTrainingImages) {
  const Decisions one = samples(1)[0];
  const SupernetOptions options{.validation_batch_size = 250, .seed = 5, .calibration_images = 500};
  Supernet supernet(space(), data_, options, {});
  supernet.validate(one);
  std::vector<int64_t> numbers(500);
  std::iota(numbers.begin(), numbers.end(), 0);
  const Graph graph = lower(decode_blended(space(), one));
  const auto images =
      network_input(make_evaluation_batch(data_, data_.train, numbers).images, graph, torch::kCPU);
  const auto& stem = graph.ops[1];
  const torch::Tensor weight =
      supernet.parameters().full(stem.name + ".weight").narrow(0, 0, stem.output.channels);
  const torch::Tensor mean =
      torch::conv2d(images, weight, {}, stem.stride, stem.kernel / 2).mean({0, 2, 3});
  const torch::Tensor kept = supernet.parameters()
                                 .full(graph.ops[2].name + ".running_mean")
                                 .narrow(0, 0, stem.output.channels);
  EXPECT_TRUE(torch::allclose(kept, mean, 1e-3, 1e-4)) << kept << mean;

  Dataset same = data_;
  same.train = data_.search_validation;
  const int count = int(same.train.size());
  Supernet by_batch(space(), same, {.batch_size = 16, .validation_batch_size = count, .seed = 5},
                    {});
  Supernet by_training(
      space(), same,
      {.batch_size = 16, .validation_batch_size = count, .seed = 5, .calibration_images = count},
      {});
  const double loss = by_batch.validate(one).loss;
  EXPECT_NEAR(by_training.validate(one).loss, loss, 0.01 * loss);
  EXPECT_NE(by_training.validate(one).loss, loss);
}

TEST_F(LanesOfASupernet, AreNotCalibratedWhereTheyAreQuantized) {
  EXPECT_THROW(Supernet(space(), data_,
                        {.seed = 5, .quantized = Quantized::kJudged, .calibration_images = 60}, {}),
               Error);
}

// Against the same by autograd: the first sample learns the labels, the second one the softmax of
// the first one's logits, both from the same images.
TEST_F(LanesOfASupernet, DistilTheFirstSampleIntoTheOthers) {
  const int64_t all = data_.train.size();
  Supernet supernet(space(), data_,
                    {.steps = 1,
                     .batch_size = int(all),
                     .optimizer = {.learning_rate = 1, .warmup = 0, .momentum = 0},
                     .label_smoothing = 0,
                     .augmentation = {},
                     .seed = 5,
                     .distils_in_place = true},
                    {});
  std::vector<Decisions> list = samples(1);
  list.resize(2);
  ParameterStore own(space());
  own.values().copy_(supernet.parameters().values());
  std::vector<Executor> networks;
  for (size_t k = 0; k < 2; ++k) {
    networks.emplace_back(lower(decode_blended(space(), list[k])), own, k);
  }
  std::vector<int64_t> numbers(static_cast<size_t>(all));
  std::iota(numbers.begin(), numbers.end(), 0);
  const Batch batch = make_evaluation_batch(data_, data_.train, numbers);
  const auto logits_of = [&](const Executor& network) {
    const auto images = network_input(batch.images, network.graph(), torch::kCPU);
    return network.forward(images, NormMode::kBatch);
  };
  const torch::Tensor first = logits_of(networks[0]), second = logits_of(networks[1]);
  const torch::Tensor hard = -first.log_softmax(1).gather(1, batch.labels.unsqueeze(1)).mean();
  const torch::Tensor soft = -(first.detach().softmax(1) * second.log_softmax(1)).sum(1).mean();
  ((hard + soft) / 2).backward();
  own.collect_gradients(learned(networks));

  EXPECT_NEAR(supernet.train(0, list), ((hard + soft) / 2).item<double>(), 1e-4);
  const torch::Tensor change = own.values() - supernet.parameters().values();
  const torch::Tensor gradient = own.grads();
  EXPECT_GT(gradient.norm().item<double>(), 0.01);
  // A ReLU whose input is 0 but for rounding may fall on either side.
  EXPECT_LT((change.narrow(0, 0, own.learned()) - gradient).norm().item<double>(),
            1e-2 * gradient.norm().item<double>());
}

// A step follows the mean of the gradients that its samples have by themselves.
TEST_F(LanesOfASupernet, FollowTheMeanOfTheSamplesGradients) {
  const auto gradient_of = [&](const std::vector<Decisions>& list, int lanes) {
    // One step of plain SGD from the same start: the change of the values over the rate.
    Supernet supernet(space(), data_,
                      {.steps = 1,
                       .batch_size = 500,  // the whole set, so that all samples see the same images
                       .optimizer = {.learning_rate = 1, .warmup = 0, .momentum = 0},
                       .augmentation = {},
                       .seed = 5},
                      {.lanes = lanes});
    const torch::Tensor before = supernet.parameters().values().clone();
    supernet.train(0, list);
    return before - supernet.parameters().values();
  };
  std::vector<Decisions> list = samples(1);
  list.resize(2);
  torch::Tensor mean = torch::zeros_like(gradient_of({list[0]}, 1));
  for (const Decisions& one : list) mean += gradient_of({one}, 1) / double(list.size());
  EXPECT_GT(mean.norm().item<double>(), 0.01);
  EXPECT_LT((gradient_of(list, 2) - mean).norm().item<double>(), 1e-3 * mean.norm().item<double>());
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
