// Weights know their classes, their pixels' range and their split.
#include "supernet/training/provenance_check.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "space/lowering.h"
#include "supernet/data/class_names.h"
#include "supernet/supernet.h"
#include "tests/folder_test.h"
#include "tests/helpers.h"
#include "tests/image_files.h"
#include "tests/tiny_images.h"

namespace ridgewalk {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ProvenanceCheck : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    at::set_num_threads(1);
    folder_ = write_tiny_images(200, 50);
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }

  static Dataset load(int64_t held_out, uint64_t seed) {
    return load_dataset("idx:" + folder_, held_out, seed);
  }
  static Architecture network() {
    return architecture_from_yaml(
        "name: net\nresolution: 28\nchannels: 1\nclasses: 10\n"
        "stem: {block: conv, kernel: 3, stride: 2, width: 8}\n"
        "stages: [[{block: uib, kernel1: 3, kernel2: 3, stride: 2, expanded: 16, width: 8}]]\n"
        "head: {width: 16, features: 16}\n",
        "net.yaml");
  }
  // Fresh weights that say they were trained on these data.
  static std::string weights_of(const Dataset& data, const std::string& name = "w") {
    ParameterStore store(lower(network()));
    store.initialize(5);
    const std::string path = folder_ + "/" + name + ".safetensors";
    save_weights(path, store, torch::kFloat, provenance_of(data));
    return path;
  }
  static std::string check(const Provenance& weights, const Dataset& data) {
    return error_of([&] { require_unseen(weights.learned, "w", data); });
  }

  static inline std::string folder_;
};

TEST_F(ProvenanceCheck, HeldOutImagesMustBeOfTheSameSplit) {
  const Provenance weights = provenance_of(load(40, 1));
  EXPECT_EQ(weights.held_out, 40);
  for (const auto& [held_out, seed] : {std::pair(40, 1), {30, 1}, {0, 2}}) {
    require_unseen(weights.learned, "w", load(held_out, uint64_t(seed)));
  }
  EXPECT_THAT(check(weights, load(40, 2)),
              AllOf(testing::StartsWith("w: has learned images that are held out here"),
                    HasSubstr("40 images drawn with seed 1, here are 40 drawn with seed 2")));
  EXPECT_THAT(check(weights, load(50, 1)), HasSubstr("here are 50"));
  EXPECT_THAT(check(provenance_of(load(0, 1)), load(40, 1)), HasSubstr("held out 0 images"));
}

// The rule's ground: fewer images held out with the same seed are a part of more.
TEST_F(ProvenanceCheck, ASmallerSplitIsPartOfALargerOne) {
  const Dataset more = load(40, 1), fewer = load(30, 1);
  EXPECT_TRUE(
      torch::equal(more.search_validation.images.narrow(0, 0, 30), fewer.search_validation.images));
}

// Other data by their hash, whatever they are called: what counts is each image.
TEST_F(ProvenanceCheck, ImagesAreKnownInChangedData) {
  const Provenance weights = provenance_of(load(40, 1));
  EXPECT_EQ(weights.learned.at(0).hashes.size(), 160u);
  for (const char* name : {"", "idx:elsewhere"}) {
    Dataset same_split = load(40, 1);
    same_split.train.images[7][0][0][0].bitwise_xor_(1);
    if (*name) same_split.name = name;
    require_unseen(weights.learned, "w", same_split);
    Dataset changed = load(40, 2);
    changed.train.images[7][0][0][0].bitwise_xor_(1);
    if (*name) changed.name = name;
    // 160 of 200 images were learned; 40 drawn anew hold some 32 of them.
    EXPECT_THAT(check(weights, changed),
                AllOf(testing::StartsWith("w: has learned images that are held out here: its "
                                          "training on idx:"),
                      testing::ContainsRegex("had (2|3).? of the 40; hold out no images")));
  }
  // One image is enough, also with another label.
  Dataset one = load(40, 1);
  one.search_validation.images[0].copy_(one.train.images[5]);
  one.search_validation.labels[0] = (one.train.labels[5] + 1) % 10;
  EXPECT_THAT(check(weights, one), HasSubstr(" had 1 of the 40"));
}

TEST_F(ProvenanceCheck, WeightsOfEarlierVersionsGoByTheNameOfTheData) {
  Provenance weights = provenance_of(load(40, 1));
  weights.learned[0].hashes.clear();
  require_unseen(weights.learned, "w", load(40, 1));
  Dataset changed = load(40, 1);
  changed.train.images[7].bitwise_not_();
  EXPECT_THAT(check(weights, changed), HasSubstr("was trained on other images than idx:"));
  changed.name = "idx:elsewhere";
  require_unseen(weights.learned, "w", changed);
}

// All of the first data were learned, then other images: by weights, a teacher or labels.
TEST_F(ProvenanceCheck, WhatWasLearnedBeforeIsNotForgotten) {
  Dataset others = load(0, 3);
  others.name = "idx:others";
  others.train.images.bitwise_not_();
  const auto trained = [&](const TrainOptions& options) {
    return Trainer(network(), others, options, {}).provenance();
  };
  const TeacherOptions knows_all{.architecture = network(), .weights = weights_of(load(0, 1))};
  const DistillOptions once{.replicas = 1};
  const auto labels =
      std::make_shared<DistilledLabels>(distill(Teacher(knows_all, others, {}), others, once, 50));
  const std::string file = folder_ + "/labels";
  save_distilled(file, *labels);
  EXPECT_EQ(load_distilled(file).learned, labels->learned);
  for (const TrainOptions& options :
       {TrainOptions{.initial_weights = knows_all.weights},
        TrainOptions{.distillation = {.labels = {}, .teacher = knows_all}},
        TrainOptions{.distillation = {.labels = labels, .teacher = {}}}}) {
    const Provenance weights = trained(options);
    ASSERT_EQ(weights.learned.size(), 2u);
    require_unseen(weights.learned, "w", load(0, 1));
    EXPECT_THAT(check(weights, load(10, 5)), HasSubstr("held out 0 images"));
    Dataset copy = load(10, 5);
    copy.name = "idx:copy";
    copy.train.images[7].bitwise_not_();
    EXPECT_THAT(check(weights, copy), HasSubstr(" had 10 of the 10"));
  }
  EXPECT_EQ(trained({}).learned.size(), 1u);
}

// Going on with the same data makes no longer list; holding out fewer images does learn more.
TEST_F(ProvenanceCheck, ATrainingCoversThoseWithinIt) {
  const auto before = provenance_of(load(40, 1)).learned;
  EXPECT_EQ(provenance_of(load(40, 1), before).learned, before);
  const auto more = provenance_of(load(30, 1), before).learned;
  ASSERT_EQ(more.size(), 1u);
  EXPECT_EQ(more[0].held_out, 30);
  EXPECT_EQ(provenance_of(load(40, 1), more).learned, more);
  EXPECT_EQ(provenance_of(load(40, 2), before).learned.size(), 2u);
  EXPECT_EQ(provenance_of(load(0, 2), before).learned.size(), 1u);
}

TEST_F(ProvenanceCheck, OfManyImagesASampleIsKept) {
  const int64_t count = 20000;
  Dataset many;
  many.channels = 1;
  // Each one the bytes of its number.
  many.train = {torch::arange(count, torch::kInt).view(torch::kByte).view({count, 2, 2, 1}),
                torch::zeros({count}, torch::kLong)};
  many.search_validation =
      many.test = {torch::empty({0, 2, 2, 1}, torch::kByte), torch::empty({0}, torch::kLong)};
  const auto learned = provenance_of(many).learned;
  EXPECT_EQ(learned.at(0).hashes.size(), kMostHashes);
  EXPECT_TRUE(std::is_sorted(learned[0].hashes.begin(), learned[0].hashes.end()));
  Dataset part = many;
  part.train.images = many.train.images.narrow(0, 0, 19000);
  part.train.labels = many.train.labels.narrow(0, 0, 19000);
  part.search_validation = {many.train.images.narrow(0, 19000, 100),
                            many.train.labels.narrow(0, 19000, 100)};
  EXPECT_THAT(error_of([&] { require_unseen(learned, "w", part); }),
              testing::ContainsRegex("had at least [789]. of the 100"));
}

TEST_F(ProvenanceCheck, WhateverStartsFromWeightsIsChecked) {
  const std::string weights = weights_of(load(40, 1));
  const Dataset other = load(40, 2);
  TrainOptions options{.initial_weights = weights};
  {
    const Trainer fits(network(), load(40, 1), options, {});
  }
  EXPECT_THAT(error_of([&] { Trainer(network(), other, options, {}); }),
              HasSubstr("has learned images"));
  const TeacherOptions teacher{.architecture = network(), .weights = weights};
  {
    const Teacher fits(teacher, load(40, 1), {});
  }
  EXPECT_THAT(error_of([&] { Teacher(teacher, other, {}); }), HasSubstr("has learned images"));
  ParameterStore store(lower(network()));
  load_weights_for(load(40, 1), weights, store);
  EXPECT_THAT(error_of([&] { load_weights_for(other, weights, store); }),
              HasSubstr("has learned images"));
}

TEST_F(ProvenanceCheck, ClassesMustBeTheSameInTheSameOrder) {
  Dataset data = load(0, 1);
  data.class_names = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
  const std::string path = weights_of(data);
  const Provenance weights = *read_provenance(path);
  require_same_classes(weights, path, data);
  require_same_classes(weights, path, load(0, 1));  // no names
  std::swap(data.class_names[3], data.class_names[4]);
  EXPECT_THAT(error_of([&] { require_same_classes(weights, path, data); }),
              AllOf(testing::StartsWith(path + ": was trained on other classes"),
                    HasSubstr("class 3 is 'd' there and 'e' here")));
  EXPECT_THROW(Teacher({.architecture = network(), .weights = path}, data, {}), Error);
  EXPECT_THROW(Trainer(network(), data, {.initial_weights = path}, {}), Error);

  // A new head learns the other order.
  Trainer anew(network(), data, {.initial_weights = path, .reset_head = true, .seed = 9}, {});
  ParameterStore saved(lower(network())), fresh(lower(network()));
  saved.initialize(5);
  fresh.initialize(mix(9, 2));
  EXPECT_TRUE(
      torch::equal(anew.parameters().full("classifier.weight"), fresh.full("classifier.weight")));
  EXPECT_TRUE(
      torch::equal(anew.parameters().full("conv_stem.weight"), saved.full("conv_stem.weight")));
}

// Weights of fashion-mnist that were stored before it had names, or as idx:DIR.
TEST_F(ProvenanceCheck, KnownNamesDoNotTellTheSameDataApart) {
  Dataset named = load(0, 1), unnamed = load(0, 1);
  named.name = "fashion-mnist";
  named.class_names = known_class_names(named.name);
  const Provenance stored = provenance_of(named), of_idx = provenance_of(unnamed);
  Provenance before = stored;
  before.classes.clear();
  for (const Provenance& weights : {stored, before, of_idx}) {
    require_same_classes(weights, "w", named);
    require_same_classes(weights, "w", unnamed);
    EXPECT_TRUE(has_same_classes(weights, named));
    EXPECT_TRUE(has_same_classes(weights, unnamed));
  }
  Dataset folder = load(0, 1);
  folder.class_names = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
  for (const Provenance& weights : {stored, before, of_idx}) {
    EXPECT_FALSE(has_same_classes(weights, folder));
  }
}

// Mean and deviation are of the images trained on: 160 here, 200 without a split.
TEST_F(ProvenanceCheck, ATeacherSeesImagesInItsOwnRange) {
  const Dataset trained = load(40, 1);
  Dataset all = load(0, 1);
  ASSERT_NE(all.mean, trained.mean);
  all.mean[0] += 0.2;  // a student's range
  const Teacher teacher({.architecture = network(), .weights = weights_of(trained)}, all, {});
  const std::vector<Draw> some = draws({3, 9}, 1);
  Dataset as_trained = all;
  normalize_as(*read_provenance(weights_of(trained)), as_trained);
  EXPECT_EQ(as_trained.mean, trained.mean);
  const Teacher plain({.architecture = network(), .weights = weights_of(trained)}, as_trained, {});
  EXPECT_TRUE(torch::allclose(teacher.soft_labels(make_batch(all, all.train, some, {}).images),
                              plain.soft_labels(make_batch(as_trained, all.train, some, {}).images),
                              1e-4, 1e-5));
  EXPECT_EQ(teacher.evaluate(all, all.test).loss, plain.evaluate(as_trained, all.test).loss);
}

}  // namespace
}  // namespace ridgewalk
