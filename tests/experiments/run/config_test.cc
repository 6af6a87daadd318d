// Configurations of experiments, and those that change a few keys of another.
#include "experiments/run/config.h"

#include <filesystem>
#include <fstream>

#include "space/error.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

class Config : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/ridgewalk-config-" + std::to_string(getpid());
    std::filesystem::create_directories(folder_);
    std::filesystem::copy_file("experiments/configs/search/evidence.yaml", folder_ + "/base.yaml");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string written(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }
  std::string refusal(const std::string& path) const {
    try {
      load_search_config(path, {});
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  std::string folder_;
};

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

TEST_F(Config, WhatIsResolvedNeedsNoBase) {
  const SearchConfig config =
      load_search_config(written("more.yaml", "base: base.yaml\nseed: 5\n"), {});
  std::filesystem::remove(folder_ + "/base.yaml");
  const SearchConfig again = load_search_config(written("resolved.yaml", config.resolved), {});
  EXPECT_EQ(again.resolved, config.resolved);
  EXPECT_EQ(again.seed, 5u);
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
