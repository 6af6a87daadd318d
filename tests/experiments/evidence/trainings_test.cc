#include "experiments/evidence/trainings.h"

#include <filesystem>
#include <fstream>

#include "tests/experiments/evidence/networks.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

class TrainingsFile : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "/ridgewalk-trainings-" + std::to_string(getpid()) + ".json";
    for (const char* name : {"one", "two", "three"}) {
      trainings_.networks.push_back(trained_network("compact-nano", 0.5, {0.25, 0.75}));
      Architecture& architecture = trainings_.networks.back().architecture;
      architecture.name = name;
      architecture.resolution = 32 * int(trainings_.networks.size());
    }
  }
  void TearDown() override { std::filesystem::remove(path_); }

  Trainings read(const std::string& text) const {
    std::ofstream(path_) << text;
    return read_trainings(path_);
  }
  std::string refusal(const std::string& text) const {
    return error_of([&] { read(text); });
  }

  Trainings trainings_{.data = "images", .made_with = "luck", .recipe = "{epochs: 1}", .seed = 7};
  std::string path_;
};

TEST_F(TrainingsFile, ReadsWhatItWrote) {
  const std::string text = trainings_text(trainings_);
  const Trainings again = read(text);
  EXPECT_EQ(trainings_text(again), text);
  EXPECT_EQ(again.seed, 7u);
  ASSERT_EQ(again.networks.size(), 3u);
  EXPECT_EQ(again.networks[1].architecture, trainings_.networks[1].architecture);
  EXPECT_EQ(test_top1(again.networks[2]), 0.5);
}

TEST_F(TrainingsFile, RefusesANetworkUnderTwoNames) {
  trainings_.networks[2].architecture = trainings_.networks[0].architecture;
  trainings_.networks[2].architecture.name = "three";
  EXPECT_THAT(refusal(trainings_text(trainings_)),
              HasSubstr("has the same network twice, as 'one' and 'three'"));
}

TEST_F(TrainingsFile, RefusesWhatNoRankingWrote) {
  const std::string text = trainings_text(trainings_);
  for (size_t length = 0; length < text.size() - 1; length += 1 + text.size() / 20) {
    EXPECT_THAT(refusal(text.substr(0, length)), HasSubstr("is not a ranking's trainings"));
  }
  trainings_.networks[0].trainings[0].test.top1 = 1.5;
  EXPECT_THAT(refusal(trainings_text(trainings_)), HasSubstr("is not a ranking's trainings"));
  trainings_.networks[0].trainings[0].test.top1 = 0.5;
  trainings_.networks[0].architecture.name = "two";
  EXPECT_THAT(refusal(trainings_text(trainings_)), HasSubstr("'two'"));
  trainings_.networks.erase(trainings_.networks.begin());
  EXPECT_THAT(refusal(trainings_text(trainings_)), HasSubstr("fewer than 3 networks"));
}

}  // namespace
}  // namespace ridgewalk
