#include "search/tunas.h"

#include <cmath>
#include <set>
#include <span>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "roofline/latency.h"
#include "search/fake_weights.h"
#include "search/stages.h"
#include "space/derived_spaces.h"
#include "space/error.h"
#include "tests/search/tiny_space.h"

namespace ridgewalk {
namespace {

Reward reward_at(const SearchSpace& space, const Decisions& optimum,
                 const std::vector<double>& ridge_points = {31.2},
                 Combine combine = Combine::kSum) {
  Reward reward{.beta = -0.3, .combine = combine, .targets = {}};
  for (double ridge_point : ridge_points) {
    reward.targets.push_back({std::to_string(ridge_point),
                              {{ridge_point}},
                              {latency(lower(decode(space, optimum)), {ridge_point})}});
  }
  return reward;
}

TunasOptions options_of(int steps, uint64_t seed) {
  TunasOptions options{.steps = steps, .samples_per_step = 8};
  options.controller.learning_rate = 0.1;
  options.controller.learning_rate_growth = 3;
  options.seed = seed;
  return options;
}

bool has_blend(const Decisions& decisions) {
  return std::find(decisions.begin(), decisions.end(), kBlend) != decisions.end();
}

TEST(Tunas, WarmUpsFadeOverTheFirstQuarterAndNeverReachTheController) {
  const SearchSpace space = load_search_space("fashion-mnist");
  std::mt19937_64 random(1);
  const Decisions optimum = sample(space, random);
  FakeWeights weights(space, optimum);
  TunasSearch search(space, reward_at(space, optimum), options_of(400, 2));
  int blended_early = 0, blended_late = 0, open = 0;
  const auto list = choices(space);
  while (!search.done()) {
    const StepRecord record = search.advance(weights);
    for (const Decisions& decisions : record.samples) {
      EXPECT_NO_THROW(decode_blended(space, decisions));
      const auto blends = std::count(decisions.begin(), decisions.end(), kBlend);
      if (record.step < 10) {
        blended_early += int(blends);
        for (size_t c = 0; c < list.size(); ++c) {
          open += list[c].kind == ChoiceKind::kOperation && list[c].options.size() > 1 &&
                  decisions[c] != kInactive;
        }
      }
      if (record.step >= 80 && record.step < 100) blended_late += int(blends);
      EXPECT_TRUE(record.step < 100 || !has_blend(decisions)) << record.step;
    }
    EXPECT_EQ(std::isfinite(record.reward), record.step >= 100) << record.step;
  }
  EXPECT_GT(blended_early, 0.9 * open);  // chance 1 to 0.91 of being replaced
  EXPECT_LT(blended_late, blended_early);
  EXPECT_EQ(weights.first_accuracy_step, 100);
  EXPECT_EQ(weights.train_calls, 400);
}

TEST(Tunas, FilterWarmUpTakesTheWidest) {
  const SearchSpace space = load_search_space("fashion-mnist");
  FakeWeights weights(space, Decisions(choice_layout(space).count, 0));
  Reward accuracy_alone;
  TunasSearch search(space, accuracy_alone, options_of(4000, 2));
  const auto list = choices(space);
  const StepRecord record = search.advance(weights);
  for (const Decisions& decisions : record.samples) {
    for (size_t c = 0; c < list.size(); ++c) {
      if (list[c].kind != ChoiceKind::kFilters || decisions[c] == kInactive) continue;
      EXPECT_EQ(decisions[c], list[c].widest) << list[c].name;
    }
  }
}

// At step 0 the chance of every warm-up is 1.
TEST(Tunas, ABlendedDepthKeepsEveryBlockActive) {
  const SearchSpace space = load_search_space("fashion-mnist");
  FakeWeights weights(space, Decisions(choice_layout(space).count, 0));
  TunasSearch search(space, Reward{}, options_of(400, 3));
  const ChoiceLayout layout = choice_layout(space);
  for (const Decisions& decisions : search.advance(weights).samples) {
    for (int s : {1, 2}) {
      EXPECT_EQ(decisions[layout.stages[s].depth], kBlend);
      for (const BlockChoices& block : layout.stages[s].blocks) {
        EXPECT_GE(decisions[block.expansion], 0);
        EXPECT_EQ(decisions[block.kernel2], kBlend);
        EXPECT_EQ(decisions[block.attention], kBlend);
      }
    }
  }
}

// Depths (4 options) and widths (3 and 4) of the UIB stages are always in use, so their replacement
// is a plain coin. 4000 flips a quarter of the warm-up; the mean chance falls by 0.25 each.
TEST(Tunas, WarmUpChancesFallLinearly) {
  const SearchSpace space = load_search_space("fashion-mnist");
  const ChoiceLayout layout = choice_layout(space);
  const std::vector<Choice> list = choices(space);
  FakeWeights weights(space, Decisions(layout.count, 0));
  TunasSearch search(space, Reward{}, options_of(4000, 5));
  for (int quarter = 0; quarter < 4; ++quarter) {
    double blended = 0, widest = 0;
    for (int step = 0; step < 250; ++step) {
      for (const Decisions& decisions : search.advance(weights).samples) {
        for (int s : {1, 2}) {
          const int width = layout.stages[s].width;
          blended += decisions[layout.stages[s].depth] == kBlend;
          widest += decisions[width] == list[width].widest;
        }
      }
    }
    const double chance = 0.875 - 0.25 * quarter;
    EXPECT_NEAR(blended / 4000, chance, 0.03);
    EXPECT_NEAR(widest / 4000, chance + (1 - chance) * (1.0 / 3 + 1.0 / 4) / 2, 0.03);
  }
}

TEST(Tunas, GoesOnFromItsStateBitForBit) {
  const SearchSpace space = load_search_space("fashion-mnist");
  std::mt19937_64 random(1);
  const Decisions optimum = sample(space, random);
  const Reward reward = reward_at(space, optimum);
  FakeWeights weights(space, optimum, {.noise = 0.02});
  TunasSearch whole(space, reward, options_of(120, 7));
  while (!whole.done()) whole.advance(weights);
  for (int stop : {1, 29, 30, 77}) {
    TunasSearch first(space, reward, options_of(120, 7));
    while (first.step() < stop) first.advance(weights);
    TunasSearch second(space, reward, options_of(120, 7));
    second.restore(first.state());
    while (!second.done()) second.advance(weights);
    EXPECT_EQ(whole.state(), second.state()) << stop;
  }
}

TEST(Tunas, StopsOnALossThatIsNotFiniteNamingStepAndSample) {
  const SearchSpace space = tiny_space();
  FakeWeights weights(space, Decisions(choice_layout(space).count, 0), {.not_finite_at = 5});
  TunasSearch search(space, Reward{}, options_of(20, 1));
  try {
    while (!search.done()) search.advance(weights);
    FAIL() << "went on";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("step 5"));
    EXPECT_THAT(error.what(), testing::HasSubstr("stages.0.width="));
  }
}

// Accuracy, then the final evaluation, is not a number for one architecture.
class NotANumber : public FakeWeights {
 public:
  NotANumber(const SearchSpace& space, bool in_accuracy)
      : FakeWeights(space, Decisions(choice_layout(space).count, 0)), in_accuracy_(in_accuracy) {}

  std::vector<double> accuracy(int step, std::span<const Decisions> samples) override {
    std::vector<double> accuracies = FakeWeights::accuracy(step, samples);
    if (in_accuracy_) accuracies[1] = std::nan("");
    return accuracies;
  }
  double validate(const Decisions& sample) override {
    return in_accuracy_ ? FakeWeights::validate(sample) : std::nan("");
  }

 private:
  bool in_accuracy_;
};

TEST(Tunas, StopsOnARewardThatIsNotFiniteNamingItsSampleAlone) {
  const SearchSpace space = load_search_space("fashion-mnist");
  NotANumber weights(space, true);
  TunasSearch search(space, Reward{}, options_of(20, 1));
  try {
    while (!search.done()) search.advance(weights);
    FAIL() << "went on";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::StartsWith("the reward is not finite at step 5; sampled ["));
    EXPECT_THAT(error.what(), testing::HasSubstr("stages.1.width="));
    EXPECT_LT(std::string(error.what()).size(), 700u);
  }
}

TEST(Tunas, StopsOnACandidateWhoseRewardIsNotFinite) {
  const SearchSpace space = tiny_space();
  NotANumber weights(space, false);
  FakeWeights finite(space, Decisions(choice_layout(space).count, 0));
  TunasSearch search(space, Reward{}, options_of(20, 1));
  while (!search.done()) search.advance(finite);
  EXPECT_THROW(search.finish(weights), std::runtime_error);
}

TEST(Tunas, SaysWhichTargetIsOutOfReachAndWhatIsInReach) {
  const SearchSpace space = tiny_space();
  const CostTable::Range range = CostTable(space, {{31.2}}).reachable()[0];
  const auto said = [&](Macs latency) {
    const Reward reward{.targets = {{"pixel6-cpu", {{31.2}}, {latency}}}};
    return TunasSearch(space, reward, options_of(20, 1)).out_of_reach();
  };
  std::ostringstream lowest;
  lowest.precision(10);
  lowest << range.lowest.value;
  EXPECT_THAT(said({1}), testing::HasSubstr("pixel6-cpu"));
  EXPECT_THAT(said({1}), testing::HasSubstr("reachable is " + lowest.str()));
  EXPECT_EQ(said(range.lowest), "");
  EXPECT_EQ(said(range.highest), "");
  EXPECT_NE(said({range.highest.value + 1}), "");
}

// Remembers what was judged.
class WatchedWeights : public FakeWeights {
 public:
  using FakeWeights::FakeWeights;
  std::vector<double> accuracy(int step, std::span<const Decisions> samples) override {
    judged.assign(samples.begin(), samples.end());
    return FakeWeights::accuracy(step, samples);
  }
  std::vector<Decisions> judged;
};

// Width 16 or 24, one or two blocks, kernels of none, 3 or 5; the first block's second one has a
// stride and is never none.
TEST(Tunas, ASandwichBeginsWithTheLargestAndTheSmallest) {
  const SearchSpace space = tiny_space();
  const StageChoices at = choice_layout(space).stages[0];
  WatchedWeights weights(space, decisions_of(space, 0));
  TunasSearch search(space, Reward{},
                     {.steps = 8,
                      .samples_per_step = 4,
                      .controller_delay = 0.5,
                      .operation_warmup = 0.5,
                      .filter_warmup = 0.5,
                      .sandwich = true});
  std::set<Decisions> others;
  while (!search.done()) {
    const std::vector<Decisions> samples = search.advance(weights).samples;
    ASSERT_EQ(samples.size(), 4u);
    const Decisions &largest = samples[0], &smallest = samples[1];
    EXPECT_EQ(std::pair(largest[at.width], largest[at.depth]), std::pair(1, 1));
    EXPECT_EQ(std::pair(smallest[at.width], smallest[at.depth]), std::pair(0, 0));
    EXPECT_EQ(std::pair(largest[at.blocks[0].kernel1], largest[at.blocks[0].kernel2]),
              std::pair(2, 1));
    EXPECT_EQ(std::pair(largest[at.blocks[1].kernel1], largest[at.blocks[1].kernel2]),
              std::pair(2, 2));
    EXPECT_EQ(std::pair(smallest[at.blocks[0].kernel1], smallest[at.blocks[0].kernel2]),
              std::pair(0, 0));
    others.insert(samples.begin() + 2, samples.end());
    if (search.step() <= 4) continue;
    // The controller learns from its own samples alone.
    EXPECT_EQ(weights.judged, std::vector(samples.begin() + 2, samples.end()));
  }
  EXPECT_GT(others.size(), 8u);
}

TEST(Tunas, RefusesOptionsNamingFieldValueAndRule) {
  const auto expect_refused = [](const auto& spoil, const std::string& message) {
    TunasOptions options = options_of(20, 1);
    Reward reward;
    spoil(options, reward);
    try {
      TunasSearch search(tiny_space(), reward, options);
      ADD_FAILURE() << "accepted; expected " << message;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(message));
    }
  };
  const double nan = std::nan("");
  expect_refused([](auto& o, auto&) { o.steps = 0; }, "steps is 0; it must be at least 1");
  expect_refused([](auto& o, auto&) { o.samples_per_step = 0; }, "samples_per_step is 0");
  expect_refused(
      [](auto& o, auto&) {
        o.samples_per_step = 2;
        o.sandwich = true;
      },
      "samples_per_step is 2; it must be at least 3 with sandwich");
  expect_refused(
      [](auto& o, auto&) {
        o.controller_delay = o.operation_warmup = o.filter_warmup = 0;
        o.fair = true;
      },
      "controller_delay is 0; it must be above 0 with fair");
  expect_refused([](auto& o, auto&) { o.candidates = 0; }, "candidates is 0");
  expect_refused([](auto& o, auto&) { o.controller_delay = 1.5; }, "controller_delay is 1.5");
  expect_refused([&](auto& o, auto&) { o.filter_warmup = nan; }, "filter_warmup is nan");
  expect_refused([&](auto& o, auto&) { o.controller.learning_rate = nan; },
                 "controller.learning_rate is nan; it must be a finite number, at least 0");
  expect_refused([](auto& o, auto&) { o.controller.learning_rate_growth = 0; },
                 "controller.learning_rate_growth is 0");
  expect_refused([](auto& o, auto&) { o.controller.baseline_momentum = 1; },
                 "controller.baseline_momentum is 1");
  expect_refused([](auto& o, auto&) { o.controller.beta2 = 1; }, "controller.beta2 is 1");
  expect_refused([](auto& o, auto&) { o.controller.epsilon = 0; }, "controller.epsilon is 0");
  expect_refused([&](auto&, auto& reward) { reward.beta = nan; }, "reward.beta is nan");
  expect_refused([&](auto&, auto& reward) { reward.targets = {{"npu", {{nan}}, {{1e6}}}}; },
                 "the ridge point of target 'npu' is nan");
}

TEST(Tunas, RefusesAWarmUpThatOutlastsTheControllersDelay) {
  TunasOptions options = options_of(20, 1);
  options.operation_warmup = 0.5;
  EXPECT_THROW(TunasSearch(tiny_space(), Reward{}, options), Error);
}

// Coarse, fine and hybrid on the fake: each stage finds the planted optimum of its own space.
class WholeSearch : public testing::TestWithParam<int> {};

TEST_P(WholeSearch, FindsThePlantedOptimumInEveryStage) {
  const SearchSpace space = load_search_space("fashion-mnist");
  std::mt19937_64 random(uint64_t(GetParam()) + 100);
  std::optional<Architecture> previous;
  for (SearchStage stage : {SearchStage::kCoarse, SearchStage::kFine, SearchStage::kHybrid}) {
    const SearchSpace own = searched_space(space, stage, previous);
    const Decisions optimum = sample(own, random);
    FakeWeights weights(own, optimum, {.noise = 0.01, .seed = uint64_t(GetParam())});
    TunasSearch search(own, reward_at(own, optimum), options_of(500, uint64_t(GetParam())));
    const StageResult result = run_stage(search, weights, [](const StepRecord&) {});
    EXPECT_EQ(result.best.decisions, optimum) << to_string(stage);
    EXPECT_GE(result.best.reward, result.argmax.reward);
    EXPECT_LE(result.candidates.size(), 8u);
    previous = decode(own, optimum);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, WholeSearch, testing::Range(0, 5));

TEST(WholeSearch, FindsTheOptimumUnderTwoTargetsByTheWorst) {
  const SearchSpace space = coarse_space(load_search_space("fashion-mnist"));
  std::mt19937_64 random(3);
  const Decisions optimum = sample(space, random);
  FakeWeights weights(space, optimum, {.noise = 0.01});
  TunasSearch search(space, reward_at(space, optimum, {0, 433.8}, Combine::kWorst),
                     options_of(500, 1));
  EXPECT_EQ(run_stage(search, weights, [](const StepRecord&) {}).best.decisions, optimum);
}

TEST(Stages, LaterStagesNeedTheResultBeforeThem) {
  const SearchSpace space = load_search_space("fashion-mnist");
  EXPECT_THROW(searched_space(space, SearchStage::kFine, std::nullopt), Error);
  EXPECT_THROW(searched_space(space, SearchStage::kHybrid, std::nullopt), Error);
}

}  // namespace
}  // namespace ridgewalk
