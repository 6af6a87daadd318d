// Soft labels: stored and read back, refused when damaged or of other images, and learned.
#include "supernet/training/distillation.h"

#include <fstream>

#include <gtest/gtest.h>

#include "space/error.h"
#include "supernet/supernet.h"
#include "tests/helpers.h"
#include "tests/tiny_dataset.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

class Distilling : public TinyDataset {
 protected:
  static void SetUpTestSuite() {
    TinyDataset::SetUpTestSuite();
    TrainOptions options = training();
    options.epochs = 6;
    Trainer trainer(network(24), data_, options, {});
    while (trainer.step() < trainer.steps()) trainer.advance();
    save_weights(weights(), trainer.parameters());
    teacher_ = std::make_unique<Teacher>(teacher_options(), data_, Compute{});
    EXPECT_GT(teacher_->evaluate(data_, data_.test).top1, 0.9);
  }
  static void TearDownTestSuite() {
    teacher_.reset();
    TinyDataset::TearDownTestSuite();
  }

  static std::string weights() { return folder_ + "/teacher.safetensors"; }
  static Architecture network(int width) {
    return architecture_from_yaml(
        "name: net\nresolution: 28\nchannels: 1\nclasses: 10\n"
        "stem: {block: conv, kernel: 3, stride: 2, width: 8}\n"
        "stages: [[{block: uib, kernel1: 3, kernel2: 3, stride: 2, expanded: 32, width: 16}],\n"
        "         [{block: uib, kernel1: 3, kernel2: 3, stride: 2, expanded: 64, width: " +
            std::to_string(width) + "}]]\nhead: {width: 32, features: 32}\n",
        "net.yaml");
  }
  static TeacherOptions teacher_options() {
    return {.architecture = network(24), .weights = weights()};
  }
  static TrainOptions training() {
    return {.epochs = 3,
            .batch_size = 50,
            .optimizer = {.kind = OptimizerKind::kAdamW, .learning_rate = 0.01},
            .seed = 4};
  }
  static DistillOptions options() {
    return {.augmentation = {.shift = 2, .flip = true},
            .augmentation_text = "{shift: 2, flip: true}",
            .seed = 7,
            .split_seed = 1,
            .replicas = 3};
  }
  static DistilledLabels labelled(const DistillOptions& options) {
    return distill(*teacher_, data_, options, 128);
  }
  static std::string saved(const DistilledLabels& labels, const std::string& name) {
    const std::string path = folder_ + "/" + name;
    save_distilled(path, labels);
    return path;
  }
  static TrainOptions student(const DistilledLabels& labels) {
    TrainOptions options = training();
    options.augmentation = {.shift = 2, .flip = true};
    options.distillation.labels = std::make_shared<const DistilledLabels>(labels);
    return options;
  }

  static inline std::unique_ptr<Teacher> teacher_;
};

TEST_F(Distilling, LabelsAreWhatTheTeacherSaysOfTheSameImages) {
  int64_t done = 0;
  const DistilledLabels labels = distill(*teacher_, data_, options(), 128,
                                         {.images_done = [&](int64_t images) { done = images; }});
  EXPECT_EQ(done, 3 * 500);
  EXPECT_EQ(labels.probabilities.sizes().vec(), (std::vector<int64_t>{3, 500, 10}));
  for (int64_t replica = 0; replica < 3; ++replica) {
    std::vector<Draw> draws;
    for (int64_t image : {499, 3, 250}) {
      draws.push_back({image, mix(mix(7, uint64_t(replica)), uint64_t(image))});
    }
    const Batch batch = make_batch(data_, data_.train, draws, options().augmentation);
    const auto targets = labels.targets(draws, replica);
    EXPECT_TRUE(torch::allclose(targets, teacher_->soft_labels(batch.images), 1e-3, 1e-3));
    EXPECT_TRUE(torch::allclose(targets.sum(1), torch::ones({3})));
  }
  EXPECT_FALSE(torch::equal(labels.probabilities[0], labels.probabilities[1]));
  EXPECT_EQ(label_bytes(data_, options()), 3 * 500 * 10 * 2);  // F16
  DistillOptions few = options();
  few.top_k = 4;  // with their classes, I16
  const DistilledLabels kept = labelled(few);
  EXPECT_EQ(label_bytes(data_, few), 3 * 500 * 4 * 4);
  EXPECT_EQ(kept.probabilities.nbytes() + kept.classes.nbytes(), size_t(3 * 500 * 4 * 4));
}

TEST_F(Distilling, GoesOnAfterTheReplicasThatAreDone) {
  struct Stop {};
  DistilledLabels so_far;
  const DistillProgress stopped{.images_done =
                                    [](int64_t images) {
                                      if (images > 2 * 500) throw Stop();
                                    },
                                .replica_done =
                                    [&](const DistilledLabels& labels) {
                                      so_far = load_distilled(saved(labels, "partial.safetensors"));
                                    }};
  EXPECT_THROW(distill(*teacher_, data_, options(), 128, stopped), Stop);
  EXPECT_EQ(so_far.replicas, 2);
  int64_t first = 0;
  const DistillProgress seen{.images_done = [&](int64_t images) {
    if (!first) first = images;
  }};
  const DistilledLabels whole = distill(*teacher_, data_, options(), 128, seen, &so_far);
  EXPECT_EQ(first, 2 * 500 + 128);
  EXPECT_TRUE(torch::equal(whole.probabilities, labelled(options()).probabilities));

  DistillOptions others = options();
  others.seed = 8;
  EXPECT_THAT(error_of([&] { distill(*teacher_, data_, others, 128, {}, &so_far); }),
              HasSubstr("partial.safetensors: holds labels of another teacher or other options"));
  DistillOptions fewer = options();
  fewer.replicas = 1;
  EXPECT_THAT(error_of([&] { distill(*teacher_, data_, fewer, 128, {}, &so_far); }),
              HasSubstr("remove it"));
}

// Weights written over under the same name, a precision, a resolution.
TEST_F(Distilling, KnowsWhetherItIsTheSameTeacher) {
  const uint64_t hash = teacher_->hash();
  EXPECT_EQ(Teacher(teacher_options(), data_, Compute{}).hash(), hash);
  EXPECT_NE(Teacher(teacher_options(), data_, Compute{.precision = DataType::kBf16}).hash(), hash);
  TeacherOptions larger = teacher_options();
  larger.architecture.resolution = 56;
  EXPECT_NE(Teacher(larger, data_, Compute{}).hash(), hash);
  ParameterStore other(lower(network(24)));
  other.initialize(1);
  save_weights(folder_ + "/other.safetensors", other);
  TeacherOptions untrained = teacher_options();
  untrained.weights = folder_ + "/other.safetensors";
  EXPECT_NE(Teacher(untrained, data_, Compute{}).hash(), hash);
}

// A box in pixels lies elsewhere in a picture of another size.
TEST_F(Distilling, RefusesOtherCropsOfFiles) {
  DistilledLabels labels = labelled(options());
  Dataset files = data_;
  files.train.paths.resize(size_t(files.train.size()), "a.png");
  labels.split_hash = hash_of(files, files.train);
  labels.resolution = 28;
  labels.crop_fraction = 0.875;
  require_same_split(labels, files);
  files.crop_fraction = 0.7;
  EXPECT_THAT(error_of([&] { require_same_split(labels, files); }), HasSubstr("--crop-fraction"));
  files.crop_fraction = 0.875;
  files.resolution = 32;
  EXPECT_THAT(error_of([&] { require_same_split(labels, files); }), HasSubstr("at 28 pixels"));
}

TEST_F(Distilling, ATemperatureSoftensTheLabels) {
  const Batch batch = make_batch(data_, data_.train, draws({5}, 0), {});
  const auto plain = teacher_->soft_labels(batch.images);
  // softmax(z / 2) is the root of softmax(z), normalised.
  const auto root = plain.sqrt() / plain.sqrt().sum();
  EXPECT_TRUE(torch::allclose(teacher_->soft_labels(batch.images, 2), root, 1e-4, 1e-5));
}

TEST_F(Distilling, KeepsTheLikeliestClassesAndSpreadsTheRestEvenly) {
  DistilledLabels labels;
  labels.number_of_classes = 5;
  labels.probabilities = torch::tensor({0.5f, 0.125f}).to(torch::kHalf).view({1, 1, 2});
  labels.classes = torch::tensor({3, 1}, torch::kShort).view({1, 1, 2});
  const std::vector<Draw> draws{{0, 0}};
  EXPECT_TRUE(torch::allclose(labels.targets(draws, 0),
                              torch::tensor({{0.125f, 0.125f, 0.125f, 0.5f, 0.125f}})));

  DistillOptions two = options();
  two.top_k = 2;
  const DistilledLabels kept = labelled(two);
  const DistilledLabels all = labelled(options());
  const std::vector<Draw> some{all.draw(17, 1), all.draw(490, 1)};
  const auto [values, classes] = all.targets(some, 1).topk(2, 1);
  const auto again = load_distilled(saved(kept, "two.safetensors")).targets(some, 1);
  EXPECT_TRUE(torch::allclose(again.gather(1, classes), values, 1e-2, 1e-3));
  EXPECT_TRUE(torch::allclose(again.sum(1), torch::ones({2})));
}

TEST_F(Distilling, SurvivesARoundTrip) {
  DistilledLabels labels = labelled(options());
  labels.teacher = "net";
  labels.teacher_weights = weights();
  labels.teacher_top1 = 0.75;
  const DistilledLabels read = load_distilled(saved(labels, "labels.safetensors"));
  EXPECT_TRUE(torch::equal(read.probabilities, labels.probabilities));
  EXPECT_FALSE(read.classes.defined());
  EXPECT_EQ(read.data, "idx:" + folder_);
  EXPECT_EQ(read.augmentation, "{shift: 2, flip: true}");
  EXPECT_EQ(read.held_out, 100);
  EXPECT_EQ(read.split_seed, 1u);
  EXPECT_EQ(read.seed, 7u);
  EXPECT_EQ(read.replicas, 3);
  EXPECT_EQ(read.teacher, "net");
  EXPECT_EQ(read.teacher_top1, 0.75);
  EXPECT_EQ(read.teacher_hash, teacher_->hash());
  require_same_split(read, data_);
}

// Every cut is refused; a changed byte is refused or changes nothing (padding of the header).
TEST_F(Distilling, RefusesDamagedFiles) {
  DistillOptions one = options();
  one.replicas = 1;
  const std::string path = saved(labelled(one), "whole.safetensors");
  std::string bytes;
  {
    std::ifstream stream(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(stream), {});
  }
  const std::string broken = folder_ + "/broken.safetensors";
  const auto write = [&](const std::string& text) {
    std::ofstream(broken, std::ios::binary) << text;
  };
  for (size_t length = 0; length < bytes.size(); length += 97) {
    write(bytes.substr(0, length));
    EXPECT_THROW(load_distilled(broken), Error) << length;
  }
  const DistilledLabels whole = load_distilled(path);
  std::mt19937_64 random(5);
  for (int i = 0; i < 1000; ++i) {
    std::string changed = bytes;
    // Half of the changes are in the header.
    const size_t within = i % 2 ? 1200 : bytes.size();
    const size_t at = random() % std::min(within, bytes.size());
    changed[at] = char(changed[at] + 1 + random() % 255);
    write(changed);
    try {
      const DistilledLabels labels = load_distilled(broken);
      EXPECT_EQ(labels.hash, whole.hash) << at;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::StartsWith(broken));
    }
  }
  EXPECT_THAT(error_of([&] { load_distilled(weights()); }),
              testing::HasSubstr("holds no distilled labels"));
}

TEST_F(Distilling, RefusesOtherTrainingImages) {
  DistilledLabels labels = labelled(options());
  const auto refusal = [&](int64_t held_out, uint64_t seed) {
    const Dataset other = load_dataset("idx:" + folder_, held_out, seed);
    return error_of([&] { Trainer(network(8), other, student(labels), {}); });
  };
  EXPECT_THAT(refusal(50, 1), testing::HasSubstr("with 100 training images held out, here are 50"));
  EXPECT_THAT(refusal(100, 2), testing::HasSubstr("other training images"));
  SupernetOptions shared;
  shared.distillation = student(labels).distillation;
  const Dataset other = load_dataset("idx:" + folder_, 100, 2);
  EXPECT_THROW(Supernet(load_search_space("fashion-mnist"), other, shared, {}), Error);
  for (DistillOptions bad : {DistillOptions{.replicas = 0}, DistillOptions{.top_k = 11},
                             DistillOptions{.temperature = 0}}) {
    EXPECT_THROW(labelled(bad), Error);
  }
}

TEST_F(Distilling, EachEpochHasTheNextReplica) {
  const DistilledLabels labels = labelled(options());
  TrainingBatches batches(data_,
                          {.size = 50,
                           .augmentation = options().augmentation,
                           .distillation = student(labels).distillation},
                          {});
  for (int64_t number : {0, 9, 10, 29, 30}) {
    const int64_t replica = number / 10 % 3;
    const auto draws = batches.draws(number);
    EXPECT_EQ(draws[7].seed, labels.draw(draws[7].image, replica).seed);
    const Batch batch = batches.batch(number);
    EXPECT_TRUE(torch::equal(batch.targets, labels.targets(draws, replica)));
    EXPECT_TRUE(torch::allclose(batch.targets, teacher_->soft_labels(batch.images), 1e-3, 1e-3));
  }
}

TEST_F(Distilling, AnOnlineTeacherIsMixedWithTheHardLabels) {
  TeacherOptions teacher = teacher_options();
  teacher.weight = 0.25;
  TrainingBatches batches(
      data_,
      {.size = 4, .label_smoothing = 0.1, .distillation = {.labels = {}, .teacher = teacher}}, {});
  EXPECT_EQ(batches.label_smoothing(), 0);
  const Batch batch = batches.batch(3);
  const auto soft = teacher_->soft_labels(batch.images);
  for (int64_t n = 0; n < 4; ++n) {
    for (int64_t c = 0; c < 10; ++c) {
      const double hard = batch.labels[n].item<int64_t>() == c ? 0.91 : 0.01;
      EXPECT_NEAR(batch.targets[n][c].item<double>(),
                  0.25 * soft[n][c].item<double>() + 0.75 * hard, 1e-6);
    }
  }
}

// Mean KL(teacher | student) over the test images, which neither saw.
TEST_F(Distilling, AStudentComesNearTheTeacher) {
  const Batch test = [&] {
    std::vector<int64_t> all(200);
    std::iota(all.begin(), all.end(), 0);
    return make_batch(data_, data_.test, draws(all, 0), {});
  }();
  const auto target = teacher_->soft_labels(test.images);
  const auto divergence = [&](const Trainer& trainer) {
    at::NoGradGuard no_grad;
    const auto logits = trainer.network().forward(test.images, NormMode::kRunning);
    return (target * (target.clamp_min(1e-12).log() - torch::log_softmax(logits, 1)))
        .sum(1)
        .mean()
        .item<double>();
  };
  TrainOptions online = training();
  online.distillation.teacher = teacher_options();
  for (const TrainOptions& options : {student(labelled(options())), online}) {
    Trainer trainer(network(8), data_, options, {});
    const double before = divergence(trainer);
    while (trainer.step() < trainer.steps()) trainer.advance();
    EXPECT_LT(divergence(trainer), before / 3);
  }
}

TEST_F(Distilling, AStudentRepeatsItselfBitForBitAfterAResume) {
  const TrainOptions options = student(labelled(Distilling::options()));
  Trainer whole(network(8), data_, options, {});
  while (whole.step() < 13) whole.advance();
  TensorFile saved;
  for (const auto& [name, tensor] : whole.state()) saved.tensors.emplace_back(name, tensor.clone());
  Trainer resumed(network(8), data_, options, {});
  restore(resumed.state(), saved, "checkpoint");
  resumed.set_step(13);
  for (Trainer* trainer : {&whole, &resumed}) {
    while (trainer->step() < trainer->steps()) trainer->advance();
  }
  EXPECT_TRUE(torch::equal(whole.parameters().values(), resumed.parameters().values()));
}

TEST_F(Distilling, SharedWeightsLearnDistilledLabels) {
  const SearchSpace space = load_search_space("fashion-mnist");
  SupernetOptions shared;
  shared.steps = 2;
  shared.batch_size = 16;
  shared.augmentation = options().augmentation;
  std::mt19937_64 random(3);
  const std::vector<Decisions> samples{sample(space, random)};
  Supernet hard(space, data_, shared, {});
  shared.distillation = student(labelled(options())).distillation;
  Supernet soft(space, data_, shared, {});
  const double loss = soft.train(0, samples);
  EXPECT_TRUE(std::isfinite(loss));
  EXPECT_NE(loss, hard.train(0, samples));
}

}  // namespace
}  // namespace ridgewalk
