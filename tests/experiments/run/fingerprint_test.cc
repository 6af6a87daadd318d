// A run is not resumed where what it depends on has changed.
#include "experiments/run/fingerprint.h"

#include <unistd.h>

#include <filesystem>
#include <set>

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/run/run_folder.h"

namespace ridgewalk {
namespace {

class Fingerprint : public testing::Test {
 protected:
  // Sums are taken in another order with other threads.
  void SetUp() override {
    threads_ = at::get_num_threads();
    at::set_num_threads(1);
  }
  void TearDown() override { at::set_num_threads(threads_); }

  std::string of(const Reward& reward, const Compute& compute = {}) const {
    return fingerprint({.texts = {"a: 1\n", "b: 2\n"},
                        .settings = "stage: coarse\nseed: 5\n",
                        .reward = &reward,
                        .distillations = {&no_labels_},
                        .data = data_,
                        .compute = compute,
                        .more = "stages: coarse"});
  }

  const ImageSet two_{torch::zeros({2, 4, 4, 1}, torch::kUInt8), torch::arange(2)};
  Dataset data_{.name = "images", .train = two_, .search_validation = two_, .test = two_};
  Distillation no_labels_;
  int threads_ = 0;
};

const Target kPoint{.name = "a", .models = rooflines({{5}}), .latency = {{1e6}}};
const Target kRange{.name = "b",
                    .models = rooflines({{0}, {31.25}}),
                    .latency = {{2e6}, {2.5e6}},
                    .reduce = Reduce::kMean};

// Runs on disk are resumed only as long as this stays as it is.
TEST_F(Fingerprint, IsALineForEachInput) {
  data_.channels = 1;
  data_.mean[0] = 0.5;
  data_.deviation[0] = 0.25;
  EXPECT_THAT(of({.targets = {kPoint, kRange}}),
              testing::AllOf(testing::StartsWith("a: 1\n\nb: 2\n\nstage: coarse\nseed: 5\n"
                                                 "target: worst 5=1000000\n"
                                                 "target: mean 0=2000000 31.25=2500000\n"
                                                 "device: cpu\nprecision: fp32\nthreads: 1\n"
                                                 "stages: coarse\ndata images "),
                             testing::EndsWith("\nmean: 0.5\ndeviation: 0.25")));
}

TEST_F(Fingerprint, TellsThePrecisionOfARun) {
  std::string folder = testing::TempDir() + "fingerprint_XXXXXX";
  folder = mkdtemp(folder.data());
  EXPECT_EQ(precision_of_run(folder, torch::kCPU), std::nullopt);
  RunFolder::create(folder, of({}, {.precision = DataType::kBf16}));
  at::set_num_threads(2);  // `train` knows the number of a run's threads only later
  EXPECT_EQ(precision_of_run(folder, torch::kCPU), DataType::kBf16);
  EXPECT_EQ(precision_of_run(folder, torch::kCUDA), std::nullopt);
  std::filesystem::remove(folder + "/checkpoint.safetensors");
  RunFolder::create(folder, of({}));
  EXPECT_EQ(precision_of_run(folder, torch::kCPU), DataType::kFp32);
  std::filesystem::remove_all(folder);
}

TEST_F(Fingerprint, KnowsWhatTheImagesAre) {
  const std::string before = of({});
  data_.test.images[0][0][0][0] = 1;
  const std::string after = of({});
  EXPECT_NE(before, after);
  EXPECT_EQ(before.substr(0, before.rfind(kDataLine)), after.substr(0, after.rfind(kDataLine)));
}

TEST_F(Fingerprint, KnowsHowImagesAreNormalised) {
  data_.channels = 1;
  std::set<std::string> texts{of({})};
  data_.mean[0] = 0.1;
  texts.insert(of({}));
  data_.deviation[0] = 0.3;
  texts.insert(of({}));
  EXPECT_EQ(texts.size(), 3u);
}

TEST_F(Fingerprint, KnowsTheRidgePointsOfATargetAndNotItsName) {
  Target moved = kPoint;
  moved.models = rooflines({{6}});
  Target renamed = kPoint;
  renamed.name = "b";
  EXPECT_NE(of({.targets = {kPoint}}), of({.targets = {moved}}));
  EXPECT_EQ(of({.targets = {kPoint}}), of({.targets = {renamed}}));
}

// A peak alone changes no figure; a data type, a term or a law does.
TEST_F(Fingerprint, KnowsAllThatPricesATarget) {
  const auto with = [&](const LatencyModel& model) {
    return of({.targets = {{.name = "a", .models = {model}, .latency = {{1e6}}}}});
  };
  const LatencyModel plain{.ridge_point = {5}};
  EXPECT_EQ(with(plain), of({.targets = {kPoint}}));
  EXPECT_EQ(with({.ridge_point = {5}, .peak = {1e9}}), with(plain));
  std::set<std::string> texts{with(plain)};
  texts.insert(with({.ridge_point = {5}, .data_type = DataType::kFp32}));
  texts.insert(with({.ridge_point = {5}, .data_type = DataType::kFp16}));
  texts.insert(with({.ridge_point = {5}, .depthwise_cost = 5}));
  texts.insert(with({.ridge_point = {5}, .peak = {1e9}, .floor = {1e-3}}));
  texts.insert(with({.ridge_point = {5}, .peak = {1e9}, .laws = {{.kind = "conv 1x1"}}}));
  texts.insert(with({.ridge_point = {5}, .peak = {1e9}, .laws = {{.kind = "linear"}}}));
  EXPECT_EQ(texts.size(), 7u);
}

TEST_F(Fingerprint, KnowsDevicePrecisionAndThreads) {
  const std::string here = of({}, {.precision = DataType::kBf16});
  const std::string on_gpu = of({}, {.device = torch::kCUDA, .precision = DataType::kBf16});
  EXPECT_NE(here, on_gpu);
  EXPECT_EQ(on_gpu, of({}, {.device = {torch::kCUDA, 1}, .precision = DataType::kBf16}));
  EXPECT_NE(here, of({}, {.precision = DataType::kFp32}));
  EXPECT_EQ(here, of({}, {.precision = DataType::kBf16, .lanes = 3}));
  at::set_num_threads(2);
  EXPECT_NE(here, of({}, {.precision = DataType::kBf16}));
}

TEST_F(Fingerprint, TellsTheThreadsOfARun) {
  const std::string path = testing::TempDir() + "/ridgewalk-threads-" + std::to_string(getpid());
  EXPECT_FALSE(threads_of_run(path));
  at::set_num_threads(2);
  {
    RunFolder::create(path, of({}));
  }
  at::set_num_threads(1);
  EXPECT_EQ(threads_of_run(path), 2);
  std::filesystem::remove_all(path);
}

}  // namespace
}  // namespace ridgewalk
