// Configurations of experiments, and those that change a few keys of another.
#include "experiments/run/config.h"

#include <filesystem>
#include <fstream>

#include <yaml-cpp/yaml.h>

#include "space/catalog.h"
#include "space/file.h"
#include "tests/experiments/run/written_configs.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

class Config : public WrittenConfigs {};

TEST_F(Config, ASectionStandsInForTheWholeOneOfItsBase) {
  const SearchConfig base = load_search_config(folder_ + "/base.yaml", {});
  const std::string path =
      written("more.yaml", "base: base.yaml\nsingle: {method: random, steps: 7}\nseed: 5\n");
  const SearchConfig config = load_search_config(path, {});
  const TunasOptions& single = config.stages.at(SearchStage::kSingle).tunas;
  EXPECT_EQ(single.method, SearchMethod::kRandom);
  EXPECT_EQ(single.steps, 7);
  EXPECT_EQ(single.samples_per_step, TunasOptions{}.samples_per_step);
  EXPECT_EQ(config.seed, 5u);
  EXPECT_EQ(config.space.name, base.space.name);
  EXPECT_EQ(config.train.epochs, base.train.epochs);
  EXPECT_EQ(config.stages.at(SearchStage::kCoarse).tunas.steps, 3200);
  EXPECT_EQ(load_search_config(path, {.seed = 9, .threads = {}, .targets = {}}).seed, 9u);
}

TEST_F(Config, SaysHowSharedWeightsAreTrained) {
  const std::string path =
      written("fair.yaml",
              "base: base.yaml\nsingle: {method: random, fair: true, sandwich: true}\n"
              "weights: {batch_size: 8, ema: 0.99, cosine_alpha: 0.1, constant_end: 0.2}\n");
  const SearchConfig config = load_search_config(path, {});
  EXPECT_TRUE(config.stages.at(SearchStage::kSingle).tunas.fair);
  EXPECT_TRUE(config.stages.at(SearchStage::kSingle).tunas.sandwich);
  EXPECT_FALSE(config.stages.at(SearchStage::kCoarse).tunas.fair);
  EXPECT_FALSE(config.stages.at(SearchStage::kCoarse).tunas.sandwich);
  EXPECT_EQ(config.weights.ema, 0.99);
  EXPECT_EQ(config.weights.optimizer.constant_end, 0.2);
  EXPECT_EQ(load_search_config(folder_ + "/base.yaml", {}).weights.ema, 0);
  EXPECT_THAT(refusal(written("one.yaml", "base: base.yaml\nweights: {ema: 1}\n")),
              HasSubstr("one.yaml:2: 'ema' is 1"));
  EXPECT_THAT(refusal(written("two.yaml", "base: base.yaml\nweights: {constant_end: 2}\n")),
              HasSubstr("two.yaml:2: 'constant_end' is 2"));
  EXPECT_THAT(refusal(written("zero.yaml", "base: base.yaml\nweights: {constant_end: 0.5}\n")),
              HasSubstr("zero.yaml:2: 'constant_end' keeps the rate at which the cosine ends"));
}

TEST_F(Config, StagesQuantizeWhatTheySayUnlessAllAreTold) {
  const std::string path =
      written("quantized.yaml", "base: base.yaml\nsingle: {method: random, quantized: judged}\n");
  const auto quantized = [&](SearchStage stage, const ConfigOverrides& overrides) {
    return load_search_config(path, overrides).stages.at(stage).quantized;
  };
  EXPECT_EQ(quantized(SearchStage::kSingle, {}), Quantized::kJudged);
  EXPECT_EQ(quantized(SearchStage::kCoarse, {}), Quantized::kOff);
  ConfigOverrides told;
  told.quantized = Quantized::kTrained;
  EXPECT_EQ(quantized(SearchStage::kSingle, told), Quantized::kTrained);
  EXPECT_EQ(quantized(SearchStage::kCoarse, told), Quantized::kTrained);
  // A resumed run and one begun with the option are told apart by it.
  EXPECT_THAT(load_search_config(path, told).resolved, testing::HasSubstr("quantized: trained"));
}

TEST_F(Config, ResolutionAndClassesReplaceThoseOfTheSpace) {
  const std::string own =
      "base: base.yaml\nspace: mobile\ntargets: {ridge_point: 0, latency_macs: 2e+8}\n";
  const SearchConfig plain = load_search_config(written("plain.yaml", own), {});
  EXPECT_EQ(plain.space, load_search_space("mobile"));
  EXPECT_FALSE(plain.classes_given);
  const SearchConfig config =
      load_search_config(written("more.yaml", own + "resolution: [96, 128]\nclasses: 100\n"), {});
  SearchSpace expected = load_search_space("mobile");
  expected.resolution = {96, 128};
  expected.classes = 100;
  EXPECT_EQ(config.space, expected);
  EXPECT_TRUE(config.classes_given);
  // The command line goes before the file, and stands in what a run keeps.
  ConfigOverrides overrides;
  overrides.resolution = 64;
  overrides.classes = 7;
  expected.resolution = {64};
  expected.classes = 7;
  const SearchConfig other = load_search_config(folder_ + "/more.yaml", overrides);
  EXPECT_EQ(other.space, expected);
  EXPECT_EQ(load_search_config(written("resolved.yaml", other.resolved), {}).space, expected);
  expect_error([&] { load_search_config(written("bad.yaml", own + "resolution: [0, 64]\n"), {}); },
               "bad.yaml:4", "resolution");
  expect_error([&] { load_search_config(written("bad.yaml", own + "classes: 0\n"), {}); },
               "bad.yaml:4", "classes");
}

TEST_F(Config, WhatIsResolvedNeedsNoBase) {
  const SearchConfig config =
      load_search_config(written("more.yaml", "base: base.yaml\nseed: 5\n"), {});
  std::filesystem::remove(folder_ + "/base.yaml");
  const SearchConfig again = load_search_config(written("resolved.yaml", config.resolved), {});
  EXPECT_EQ(again.resolved, config.resolved);
  EXPECT_EQ(again.seed, 5u);
}

// A run is priced by the networks and devices that it was given, whatever became of their files.
TEST_F(Config, WhatIsResolvedNeedsNoFile) {
  SearchSpace space = load_search_space("fashion-mnist-small");
  space.name = "own-space";
  Architecture network = find_architecture("compact-nano");
  network.name = "own-network";
  Profile device = load_profile("epyc-zen5-1-thread");
  device.name = "own-device";
  const std::vector<std::string> files = {
      written("space.yaml", to_yaml(space)), written("network.yaml", to_yaml(network)),
      written("reference.yaml", to_yaml(network)), written("device.yaml", to_yaml(device))};
  const std::string path = written("more.yaml", "base: base.yaml\nspace: " + files[0] +
                                                    "\nreference: " + files[2] + R"(
targets:
  - {ridge: [0, 500], points: 4, relative_to: )" + files[1] +
                                                    R"(}
  - {profile: )" + files[3] + R"(, relative_to: mnv4-conv-small, factor: 0.1}
)");
  const SearchConfig config = load_search_config(path, {});
  EXPECT_EQ(config.space, space);
  EXPECT_EQ(config.reference, network);
  EXPECT_EQ(config.reward.targets[1].name, "own-device");
  // In the order of the files: each counts in what a run is told apart by.
  for (const std::string& file : files) {
    const std::string text = read_file(file);
    const std::string other = file == files[0]   ? to_yaml(load_search_space("fashion-mnist"))
                              : file == files[3] ? to_yaml(load_profile("pixel6-cpu"))
                                                 : to_yaml(find_architecture("mnv4-conv-small"));
    std::ofstream(file) << other;
    EXPECT_NE(load_search_config(path, {}).resolved, config.resolved) << file;
    std::ofstream(file) << text;
    EXPECT_EQ(load_search_config(path, {}).resolved, config.resolved) << file;
  }
  for (const std::string& file : files) std::filesystem::remove(file);
  const SearchConfig again = load_search_config(written("resolved.yaml", config.resolved), {});
  EXPECT_EQ(again.resolved, config.resolved);
  EXPECT_EQ(again.space, space);
  EXPECT_EQ(again.reference, network);
  ASSERT_EQ(again.reward.targets.size(), 2u);
  for (size_t t = 0; t < 2; ++t) {
    EXPECT_EQ(again.reward.targets[t].name, config.reward.targets[t].name);
    EXPECT_EQ(again.reward.targets[t].models, config.reward.targets[t].models);
    EXPECT_EQ(again.reward.targets[t].latency, config.reward.targets[t].latency);
  }
  EXPECT_THAT(refusal(path), HasSubstr("more.yaml:2: " + files[0]));
}

// A configuration and the files that it names move together; from elsewhere they are found, too.
TEST_F(Config, FilesAreLookedForBesideTheConfiguration) {
  SearchSpace space = load_search_space("fashion-mnist-small");
  space.name = "own-space";
  Architecture network = find_architecture("compact-nano");
  network.name = "own-network";
  std::filesystem::create_directories(folder_ + "/parts");
  std::filesystem::create_directories(folder_ + "/images");
  written("parts/space.yaml", to_yaml(space));
  written("network.yaml", to_yaml(network));
  written("start.safetensors", "");
  const std::string text = R"(base: base.yaml
space: parts/space.yaml
data: "idx:images"
reference: network.yaml
targets: {ridge_point: 5, relative_to: network.yaml}
weights: {start: start.safetensors}
)";
  const SearchConfig config = load_search_config(written("more.yaml", text), {});
  EXPECT_EQ(config.space, space);
  EXPECT_EQ(config.reference, network);
  EXPECT_EQ(config.weights.start, folder_ + "/start.safetensors");
  EXPECT_EQ(config.data, "idx:" + folder_ + "/images");
  // Where the program runs comes second; a configuration in another folder can still be resumed.
  std::filesystem::create_directories(folder_ + "/run");
  const SearchConfig again = load_search_config(written("run/config.yaml", config.resolved), {});
  EXPECT_EQ(again.resolved, config.resolved);
  EXPECT_EQ(again.weights.start, config.weights.start);
  EXPECT_EQ(again.data, config.data);
  const std::string from_here =
      "base: base.yaml\nspace: experiments/configs/spaces/nas-bench-macro.yaml\n"
      "data: imagefolder:tests/data\n";
  const SearchConfig here = load_search_config(written("here.yaml", from_here), {});
  EXPECT_EQ(here.space.name, "nas-bench-macro");
  EXPECT_EQ(here.data, "imagefolder:tests/data");
}

// Runs of earlier versions are resumed only where this text is theirs.
TEST_F(Config, BuiltInNamesAreKeptAsTheyAre) {
  const std::string text = read_file(folder_ + "/base.yaml") + "reference: mnv4-conv-small@0.5\n";
  const SearchConfig config = load_search_config(written("named.yaml", text), {});
  EXPECT_EQ(config.resolved, YAML::Dump(YAML::Load(text)) + "\n");
  EXPECT_EQ(config.reference, find_architecture("mnv4-conv-small@0.5"));
}

TEST_F(Config, ANetworkMayStandInTheConfigurationItself) {
  EXPECT_THAT(refusal(written("a.yaml", "base: base.yaml\n\nreference: {name: x, stages: []}\n")),
              HasSubstr("a.yaml:3: reference:1: "));
  EXPECT_THAT(refusal(written("a.yaml", "base: base.yaml\nreference: [compact-nano]\n")),
              HasSubstr("a.yaml:2: 'reference' must be a text"));
  std::string points = "0";
  for (int i = 1; i <= 10'000; ++i) points += ", " + std::to_string(i);
  EXPECT_THAT(
      refusal(written("a.yaml", "base: base.yaml\nreport_ridge_points: [" + points + "]\n")),
      HasSubstr("a.yaml:2: lists more than 10000 ridge points"));
}

TEST_F(Config, RefusesABaseThatIsNone) {
  EXPECT_THAT(refusal(written("a.yaml", "base: nothing.yaml\n")), HasSubstr("nothing.yaml"));
  EXPECT_THAT(refusal(written("a.yaml", "base: a.yaml\n")),
              HasSubstr("a.yaml:1: 'base' leads through"));
  EXPECT_THAT(refusal(written("a.yaml", "base: [base.yaml]\n")), HasSubstr("a.yaml:1"));
  EXPECT_THAT(refusal(written("a.yaml", "base: base.yaml\nseed: 1\nseed: 2\n")),
              HasSubstr("a.yaml:3: key 'seed' is given twice"));
  EXPECT_THAT(refusal(written("a.yaml", "base: base.yaml\n\nsingel: {steps: 1}\n")),
              HasSubstr("a.yaml:3: unknown key 'singel'"));
  // What is wrong in the base is said of the base.
  written("bad.yaml", "base: base.yaml\n\n\nseed: -1\n");
  EXPECT_THAT(refusal(written("a.yaml", "base: bad.yaml\nseed: 1\n")), HasSubstr("bad.yaml:4"));
}

}  // namespace
}  // namespace ridgewalk
