#include "experiments/evidence/budget.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "roofline/cost.h"
#include "space/lowering.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

// A 1x1 convolution of 2 to 3 channels on 4x5 positions: 120 MACs.
TEST(Budget, CountsATrainedImageAsThreeJudgedOnes) {
  Graph graph;
  graph.ops = {{.kind = OpKind::kInput, .name = "input", .output = {2, 4, 5}},
               {.kind = OpKind::kConv, .name = "conv", .inputs = {0}, .output = {3, 4, 5}}};
  EXPECT_EQ(passes(graph, 10, 7).value, 120 * (3 * 10 + 7));
}

// Two steps of two samples each on 8 images; the second also judges its samples on 5. In the end
// one of them is judged on all 50 held out.
TEST(Budget, CountsWhatTheLogAndTheCandidatesSay) {
  const std::string folder = testing::TempDir() + "ridgewalk_budget";
  std::filesystem::remove_all(folder);
  RunFolder run = RunFolder::create(folder, "device: cpu\n");
  const SearchSpace space = tiny_space();
  std::mt19937_64 random(1);
  const Decisions small = sample(space, random), large = sample(space, random);
  const auto record = [&](const std::string& phase, int step, const Json& accuracy,
                          const std::vector<Decisions>& samples) {
    run.log({{"phase", phase}, {"step", step}, {"accuracy", accuracy}, {"samples", samples}});
  };
  run.begin<int>("coarse");
  record("coarse", 0, nullptr, {small, large});
  record("coarse", 1, 0.5, {large, large});
  record("fine", 0, nullptr, {small, small});
  run.checkpoint(1, {});
  SearchConfig config;
  config.space = space;
  config.stages[SearchStage::kCoarse] = {};
  config.weights.batch_size = 8;
  config.weights.validation_batch_size = 5;
  Dataset data;
  data.search_validation.labels = torch::zeros({50}, torch::kLong);
  const Session session;
  const SearchContext context{{run, data, session}, config};
  StageOutcome stage;
  stage.stage = SearchStage::kCoarse;
  stage.candidates = {{.decisions = small}};
  const auto macs = [&](const Decisions& decisions) {
    return network_cost(lower(decode(space, decisions))).macs.value;
  };
  EXPECT_NE(macs(small), macs(large));
  EXPECT_DOUBLE_EQ(stage_budget(context, stage, space).value,
                   (3 * 8 + 50) * macs(small) + (3 * 3 * 8 + 2 * 5) * macs(large));
  config.stages[SearchStage::kCoarse].tunas.sandwich = true;  // the first two are only trained
  EXPECT_DOUBLE_EQ(stage_budget(context, stage, space).value,
                   (3 * 8 + 50) * macs(small) + 3 * 3 * 8 * macs(large));
}

}  // namespace
}  // namespace ridgewalk
