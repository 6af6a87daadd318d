// The results of phases as JSON: what checkpoints, result.yaml and trainings.json hold.
#include "experiments/run/results.h"

#include <cmath>

#include <gtest/gtest.h>

#include "space/catalog.h"

namespace ridgewalk {
namespace {

SplitAccuracy accuracy(double top1, int64_t images) {
  SplitAccuracy accuracy;
  accuracy.top1 = top1;
  accuracy.top5 = 0.75;
  accuracy.loss = 1.5;
  accuracy.images = images;
  return accuracy;
}

// YAML 1.1 has more numbers and truth values than yaml-cpp knows: 12:30 is 750, yes is true.
TEST(Yaml, TextsStayTexts) {
  EXPECT_EQ(
      yaml_text({{"classes", {"yes", "~", "1e3", "cat", "0x1F", "12:30", "", "No", "-x", "3d"}}}),
      "classes: [\"yes\", \"~\", \"1e3\", cat, \"0x1F\", \"12:30\", \"\", \"No\", \"-x\", "
      "\"3d\"]\n");
}

// Not the text "null".
TEST(Yaml, WhatIsNoNumberIsNothing) {
  EXPECT_EQ(yaml_text({{"tau", std::nan("")}, {"none", Json()}}), "tau: ~\nnone: ~\n");
}

// As earlier versions wrote it.
const char* const kTraining =
    R"({"architecture":"net","data":"fashion-mnist","weights":"from scratch","epochs":3,)"
    R"("teacher":"large","ema":0.5,)"
    R"("train":{"split":"train","images":10000,"top1":0.5,"top5":0.75,"loss":1.5},)"
    R"("search_validation":null,)"
    R"("test":{"split":"test","images":200,"top1":0.25,"top5":0.75,"loss":1.5}})";

TEST(Results, ATrainingIsWrittenAsItWasAndReadBack) {
  const TrainingResult result{.architecture = "net",
                              .data = "fashion-mnist",
                              .weights = "from scratch",
                              .epochs = 3,
                              .teacher = "large",
                              .ema = 0.5,
                              .train = accuracy(0.5, 10000),
                              .test = accuracy(0.25, 200)};
  EXPECT_EQ(Json(result).dump(), kTraining);
  EXPECT_EQ(Json(Json::parse(kTraining).get<TrainingResult>()).dump(), kTraining);
  EXPECT_EQ(top1_text(result), "train 50.00 % of 10000 images without augmentation, test 25.00 %");
}

TEST(Results, ATrainingWithoutATestAccuracyIsRefused) {
  Json json = Json::parse(kTraining);
  json["test"] = nullptr;
  EXPECT_THROW(json.get<TrainingResult>(), Json::exception);
  json.erase("test");
  EXPECT_THROW(json.get<TrainingResult>(), Json::exception);
}

// Targets at one ridge point and over a range: the first has a latency, both have a ratio.
TEST(Results, ACandidateIsPricedAgainstEveryTarget) {
  const Reward reward{
      .targets = {{.name = "point", .models = rooflines({{5}}), .latency = {{100}}},
                  {.name = "range", .models = rooflines({{0}, {10}}), .latency = {{100}, {200}}}}};
  const Candidate candidate{.decisions = {1, kInactive},
                            .probability = 0.125,
                            .accuracy = 0.5,
                            .reward = 0.25,
                            .latency = {{150}, {110}, {300}}};
  const CandidateResult result = candidate_result(candidate, reward);
  EXPECT_EQ(Json(result).dump(),
            R"({"decisions":[1,-1],"probability":0.125,"accuracy":0.5,)"
            R"("split":"search-validation","weights":"shared","reward":0.25,)"
            R"("latency":[{"target":"point","latency_macs":150.0,"of_target":1.5},)"
            R"({"target":"range","of_target":1.5}]})");
  EXPECT_EQ(Json(target_summaries(reward)).dump(),
            R"([{"name":"point","ridge_point":5.0,"latency_macs":100.0},)"
            R"({"name":"range","ridge_point":null,"latency_macs":null}])");
}

TEST(Results, SayWhetherLimitsAreKept) {
  Reward reward{
      .targets = {{.name = "point", .models = rooflines({{5}}), .latency = {{100}}},
                  {.name = "range", .models = rooflines({{0}, {9}}), .latency = {{100}, {200}}}}};
  EXPECT_TRUE(limit_shares(reward, std::vector<Macs>{{150}, {110}, {300}}).empty());
  EXPECT_FALSE(
      candidate_result({.decisions = {}, .latency = {{1}, {1}, {1}}}, reward).is_within_limits);
  reward.targets[1].is_limit = true;
  const std::vector<LimitShare> above =
      limit_shares(reward, std::vector<Macs>{{150}, {110}, {300}});
  EXPECT_FALSE(is_within(above));
  EXPECT_EQ(excess_text(above), "above range (1.5 times)");
  EXPECT_TRUE(is_within(limit_shares(reward, std::vector<Macs>{{150}, {100}, {200}})));
  Json json = Json::object();
  add_limits(json, above);
  const std::string text = R"({"within_limits":false,"of_limits":[{"limit":"range","share":1.5}]})";
  EXPECT_EQ(json.dump(), text);
  EXPECT_EQ(excess_text(limits_in(json)), excess_text(above));
  const Candidate candidate{
      .decisions = {}, .latency = {{1}, {1}, {300}}, .is_within_limits = false};
  const Json result = candidate_result(candidate, reward);
  EXPECT_EQ(result.at("within_limits"), false);
  EXPECT_EQ(result.get<CandidateResult>().is_within_limits, false);
}

// 3 GMACs' worth at 1.5 GMACs/s.
TEST(Results, ADeviceWithAPeakHasMillisecondsAndItsDataType) {
  const LatencyModel model{
      .ridge_point = {5}, .peak = {1.5e9}, .data_type = DataType::kFp32, .profile = "board"};
  const Reward reward{.targets = {{.name = "board", .models = {model}, .latency = {{3e9}}}}};
  const CandidateResult result = candidate_result({.decisions = {}, .latency = {{6e9}}}, reward);
  EXPECT_EQ(result.latency[0].latency_ms, 4000);
  EXPECT_EQ(Json(result.latency[0]).dump(),
            R"({"target":"board","latency_macs":6000000000.0,"latency_ms":4000.0,)"
            R"("of_target":2.0})");
  const std::string summary = R"([{"name":"board","ridge_point":5.0,"latency_macs":3000000000.0,)"
                              R"("data_type":"fp32","latency_ms":2000.0}])";
  EXPECT_EQ(Json(target_summaries(reward)).dump(), summary);
  EXPECT_EQ(Json(Json::parse(summary).get<std::vector<TargetSummary>>()).dump(), summary);
}

// No network with a head in fp32 was measured on it: its milliseconds are a guess wherever they
// stand.
TEST(Results, ATargetWithAFloatHeadSaysSoAndThatItIsAGuess) {
  const Profile pixel = load_profile("pixel6-cpu");
  const LatencyModel int8 = latency_model(pixel);
  const LatencyModel mixed = with_head(int8, pixel, DataType::kFp32);
  const Reward reward{.targets = {{.name = "mixed", .models = {mixed}, .latency = {{1e9}}},
                                  {.name = "int8", .models = {int8}, .latency = {{1e9}}}}};
  const Json targets = target_summaries(reward);
  EXPECT_EQ(targets[0].at("head_type"), "fp32");
  EXPECT_EQ(targets[0].at("is_guess"), true);
  EXPECT_FALSE(targets[1].contains("head_type") || targets[1].contains("is_guess")) << targets;
  EXPECT_EQ(Json(targets.get<std::vector<TargetSummary>>()), targets);
  const Json latency =
      candidate_result({.decisions = {}, .latency = {{2e9}, {2e9}}}, reward).latency;
  EXPECT_EQ(latency[0].at("is_guess"), true);
  EXPECT_FALSE(latency[1].contains("is_guess")) << latency;
  EXPECT_EQ(Json(latency.get<std::vector<TargetLatency>>()), latency);
}

TEST(Results, AStageIsReadBackAsItWas) {
  const CandidateResult best{.decisions = {0, 2},
                             .accuracy = 0.5,
                             .reward = 0.25,
                             .latency = {{.target = "t", .of_target = 1.25}}};
  const StageOutcome outcome{
      .stage = SearchStage::kSingle,
      .space = "space",
      .method = SearchMethod::kRandom,
      .size = 1e30,
      .share_in_common = 0.1,
      .targets = {{.name = "t"}},
      .argmax = best,
      .best = best,
      .chosen = "best of those tried",
      .candidates = {best},
      .choices = {{.name = "c", .options = {"3", "5"}, .probabilities = {0.5, 0.5}, .chosen = -1}},
      .architecture = find_architecture("mnv4-hybrid-medium")};
  const StageOutcome again = Json::parse(Json(outcome).dump()).get<StageOutcome>();
  EXPECT_EQ(Json(again).dump(), Json(outcome).dump());
  EXPECT_EQ(again.architecture, outcome.architecture);
  EXPECT_EQ(again.method, SearchMethod::kRandom);
  EXPECT_EQ(again.choices.at(0).chosen, -1);
  EXPECT_FALSE(again.best.latency.at(0).latency_macs);
}

}  // namespace
}  // namespace ridgewalk
