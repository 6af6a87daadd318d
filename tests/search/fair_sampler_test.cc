#include "search/fair_sampler.h"

#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "search/fake_weights.h"
#include "search/tunas.h"
#include "space/error.h"
#include "tests/search/tiny_space.h"

namespace ridgewalk {
namespace {

// The options of each choice in the order of the samples that use it.
std::vector<std::vector<int>> uses(const std::vector<Decisions>& samples) {
  std::vector<std::vector<int>> used(samples.front().size());
  for (const Decisions& decisions : samples) {
    for (size_t c = 0; c < used.size(); ++c) {
      if (decisions[c] != kInactive) used[c].push_back(decisions[c]);
    }
  }
  return used;
}

// Of every choice that has n options, each whole run of n uses has all of them once.
void expect_fair(const SearchSpace& space, const std::vector<Decisions>& samples) {
  const std::vector<Choice> list = choices(space);
  const auto used = uses(samples);
  for (size_t c = 0; c < list.size(); ++c) {
    const size_t options = list[c].options.size();
    EXPECT_GE(used[c].size(), options) << list[c].name;
    for (size_t first = 0; first + options <= used[c].size(); first += options) {
      const std::set<int> of_run(used[c].begin() + first, used[c].begin() + first + options);
      EXPECT_EQ(of_run.size(), options) << list[c].name << ", use " << first;
    }
  }
}

std::vector<Decisions> samples_of_search(const SearchSpace& space, const TunasOptions& options) {
  FakeWeights weights(space, decisions_of(space, 0));
  TunasSearch search(space, Reward{}, options);
  std::vector<Decisions> samples;
  while (!search.done()) {
    for (const Decisions& one : search.advance(weights).samples) samples.push_back(one);
  }
  return samples;
}

TEST(FairSampler, UsesEveryOptionOnceInARunOfAsManyUses) {
  // 2 widths, 2 depths, 3 x 2 kernels of the first block; those of the second in half of the
  // samples.
  const SearchSpace space = tiny_space();
  FairSampler sampler(space);
  std::mt19937_64 random(1);
  std::vector<Decisions> samples;
  for (int i = 0; i < 36; ++i) samples.push_back(sampler.sample(random));
  expect_fair(space, samples);
  const ChoiceLayout layout = choice_layout(space);
  const auto used = uses(samples);
  EXPECT_EQ(used[layout.stages[0].blocks[0].kernel1].size(), 36u);
  EXPECT_EQ(used[layout.stages[0].blocks[1].kernel1].size(), 18u);
  for (const Decisions& one : samples) EXPECT_NO_THROW(decode(space, one));
}

TEST(FairSampler, ShufflesEachChoiceByItself) {
  const SearchSpace space = tiny_space();
  const BlockChoices block = choice_layout(space).stages[0].blocks[0];
  FairSampler sampler(space);
  std::mt19937_64 random(1);
  std::map<std::pair<int, int>, int> pairs;
  constexpr int kSamples = 9000;
  for (int i = 0; i < kSamples; ++i) {
    const Decisions one = sampler.sample(random);
    ++pairs[{one[block.kernel1], one[block.kernel2]}];
  }
  ASSERT_EQ(pairs.size(), 6u);
  for (const auto& [pair, count] : pairs) EXPECT_NEAR(count, kSamples / 6, 120);
}

TEST(FairSampler, RefusesDecksOfAnotherSpace) {
  FairSampler sampler(tiny_space());
  const FairSampler::Decks none(sampler.decks().size());
  EXPECT_NO_THROW(sampler.restore(none));
  FairSampler::Decks decks = none;
  decks.pop_back();
  EXPECT_THROW(sampler.restore(decks), Error);
  for (const std::vector<int>& deck : {std::vector{-1}, std::vector{9}, std::vector{0, 0}}) {
    decks = none;
    decks.back() = deck;
    EXPECT_THROW(sampler.restore(decks), Error);
  }
}

TEST(FairSampler, GivesASearchItsSamplesAcrossSteps) {
  const SearchSpace space = tiny_space();
  const TunasOptions options{.method = SearchMethod::kRandom,
                             .steps = 24,
                             .samples_per_step = 1,
                             .operation_warmup = 0,
                             .filter_warmup = 0,
                             .fair = true};
  expect_fair(space, samples_of_search(space, options));
}

// Until the controller learns, its own samples are uniform, so fair ones may take their place.
TEST(FairSampler, GivesWayToAControllerThatLearns) {
  const SearchSpace space = tiny_space();
  TunasOptions options{.steps = 48,
                       .samples_per_step = 1,
                       .controller_delay = 0.5,
                       .operation_warmup = 0,
                       .filter_warmup = 0,
                       .fair = true};
  options.controller.learning_rate = 10;  // the first reward decides
  FakeWeights weights(space, decisions_of(space, 0), {.penalty = 0.2, .noise = 0.01});
  TunasSearch search(space, Reward{}, options);
  std::vector<Decisions> before;
  while (search.step() < 24) before.push_back(search.advance(weights).samples[0]);
  expect_fair(space, before);
  const auto decks = nlohmann::json::parse(search.state())["decks"];
  while (!search.done()) search.advance(weights);
  EXPECT_EQ(nlohmann::json::parse(search.state())["decks"], decks);
}

TEST(FairSampler, GoesOnFromTheStateOfASearchBitForBit) {
  const SearchSpace space = load_search_space("fashion-mnist");
  for (SearchMethod method : {SearchMethod::kRandom, SearchMethod::kTunas}) {
    const TunasOptions options{
        .method = method, .steps = 40, .samples_per_step = 3, .fair = true, .seed = 7};
    std::mt19937_64 random(1);
    FakeWeights weights(space, sample(space, random), {.noise = 0.02});
    TunasSearch whole(space, Reward{}, options);
    while (!whole.done()) whole.advance(weights);
    for (int stop : {1, 9, 10, 33}) {
      TunasSearch first(space, Reward{}, options);
      while (first.step() < stop) first.advance(weights);
      TunasSearch second(space, Reward{}, options);
      second.restore(first.state());
      while (!second.done()) second.advance(weights);
      EXPECT_EQ(whole.state(), second.state()) << stop;
    }
  }
}

TEST(FairSampler, IsRefusedWhereSamplesAreNearTheTargets) {
  const TunasOptions options{
      .method = SearchMethod::kRandom, .steps = 1, .sample_tolerance = 0.1, .fair = true};
  EXPECT_THROW(TunasSearch(tiny_space(), Reward{}, options), Error);
}

}  // namespace
}  // namespace ridgewalk
