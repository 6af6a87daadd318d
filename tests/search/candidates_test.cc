#include "search/candidates.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "search/fake_weights.h"
#include "search/front.h"
#include "search/stages.h"
#include "search/tunas.h"
#include "space/error.h"
#include "tests/search/tiny_space.h"

namespace ridgewalk {
namespace {

Target target_at(const SearchSpace& space, const Decisions& decisions,
                 const std::vector<MacsPerByte>& points) {
  return {"target", rooflines(points), CostTable(space, rooflines(points)).price(decisions)};
}

class Candidates : public testing::Test {
 protected:
  Candidates() {
    std::mt19937_64 random(7);
    optimum_ = sample(space_, random);
    reward_ = {.beta = -0.3, .targets = {target_at(space_, optimum_, {{31.2}})}};
  }
  Trial trial(SharedWeights& weights) const { return {space_, table_, reward_, weights}; }

  const SearchSpace space_ = load_search_space("fashion-mnist");
  const CostTable table_{space_, {{31.2}}};
  Decisions optimum_;
  Reward reward_;
};

TEST_F(Candidates, MutatedDiffersByOneChoiceAndStaysInTheSpace) {
  std::mt19937_64 random(1);
  const ChoiceLayout layout = choice_layout(space_);
  std::vector<bool> changes_many(layout.count);  // depth brings blocks in or out of use
  for (const StageChoices& stage : layout.stages) {
    changes_many[stage.depth] = changes_many[stage.kind] = true;
  }
  std::set<int> changed_ever;
  Decisions parent = sample(space_, random);
  for (int i = 0; i < 500; ++i) {
    const Decisions child = mutated(space_, parent, random);
    EXPECT_NO_THROW(decode(space_, child));
    std::vector<int> changed;
    for (int c = 0; c < layout.count; ++c) {
      if (child[c] != parent[c]) changed.push_back(c);
    }
    ASSERT_FALSE(changed.empty());
    if (changed.size() > 1) {
      EXPECT_TRUE(
          std::any_of(changed.begin(), changed.end(), [&](int c) { return changes_many[c]; }));
    }
    changed_ever.insert(changed.begin(), changed.end());
    parent = child;
  }
  EXPECT_GT(changed_ever.size(), 20u);
}

TEST_F(Candidates, SamplesNearTheTargetsOnly) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 50; ++i) {
    const Decisions decisions = sample_near_targets(space_, table_, reward_, 0.05, random);
    EXPECT_LE(std::abs(reward_.ratios(table_.price(decisions))[0] - 1), 0.05);
  }
  Reward unreachable = reward_;
  unreachable.targets[0].latency = {{1}};
  EXPECT_THROW(sample_near_targets(tiny_space(), CostTable(tiny_space(), {{31.2}}), unreachable,
                                   0.05, random),
               Error);
}

// Where nothing is near the targets, as after a later stage's laws were corrected, the nearest
// hundredth of the space is: with a target far below all networks, the fastest ones. What is above
// a limit is never near.
TEST_F(Candidates, AreTheNearestWhereNoneIsNear) {
  EXPECT_EQ(tolerance_within_reach(space_, table_, reward_, 0.05), 0.05);
  const SearchSpace space = tiny_space();
  const CostTable table(space, {{31.2}});
  Reward tight{.beta = -0.3,
               .targets = {{"target", {{31.2}}, {0.25 * table.reachable()[0].lowest}}}};
  std::mt19937_64 random(5);
  FakeWeights weights(space, sample(space, random));
  const std::vector<Candidate> tried =
      evolution({space, table, tight, weights}, {.evaluations = 24}, random);
  double farthest = 0;
  for (const Candidate& one : tried) farthest = std::max(farthest, tight.miss(one.latency));
  EXPECT_GE(farthest, 3);  // the fastest of all takes four times what was asked
  int nearer = 0;
  for (int i = 0; i < 10000; ++i) {
    nearer += tight.miss(table.price(sample(space, random))) < farthest;
  }
  EXPECT_LT(nearer, 150);  // of 10,000 about a hundred, or fewer, as networks are few
  tight.targets[0].is_limit = true;
  EXPECT_EQ(tolerance_within_reach(space, table, tight, 0.05), 0.05);
}

// Where accuracy grows with the network, each method ends at the most that the limit allows, and
// above it without the limit.
TEST(Limits, AreNeverExceeded) {
  const SearchSpace space = tiny_space();
  Decisions largest;
  for (const Choice& choice : choices(space)) largest.push_back(int(choice.options.size()) - 1);
  const LatencyModel memory = resource_model(Resource::kPeakMemory, DataType::kInt8);
  const LatencyModel weights = resource_model(Resource::kWeights, DataType::kInt8);
  const CostTable table(space, {memory, weights});
  const std::vector<CostTable::Range> reach = table.reachable();
  const auto limit = [&](size_t m, const LatencyModel& model) {
    Target target{.name = std::string(to_string(model.resource)), .models = {model}, .latency = {}};
    target.latency = {0.5 * (reach[m].lowest + reach[m].highest)};
    target.is_limit = true;
    return target;
  };
  for (SearchMethod method : kValues<SearchMethod>) {
    TunasOptions options{.method = method, .steps = 60, .candidates = 6, .seed = 3};
    options.trials.evaluations = 30;
    options.controller.learning_rate = 0.3;
    const auto best = [&](const Reward& reward) {
      FakeWeights fake(space, largest);
      TunasSearch search(space, reward, options);
      EXPECT_EQ(search.out_of_reach(), "");
      const StageResult result = run_stage(search, fake, [](const StepRecord&) {});
      EXPECT_EQ(result.best.is_within_limits, reward.is_within_limits(result.best.latency));
      return table.price(result.best.decisions);
    };
    const Reward limited{.beta = -0.01, .targets = {limit(0, memory), limit(1, weights)}};
    const std::vector<Macs> within = best(limited), free = best({.beta = -0.01, .targets = {}});
    EXPECT_TRUE(limited.is_within_limits(within)) << to_string(method);
    EXPECT_FALSE(limited.is_within_limits(free)) << to_string(method);
  }
}

// A stage has the narrowest of 16 widths, one block and the smallest kernels in one of some 200
// samples: three stages have them once in ten million. The one member with the fewest weights is
// not met by chance, and a search must still end there when that is the limit.
TEST(Limits, OfTheLeastThatASpaceHasAreMet) {
  SearchSpace space = tiny_space();
  for (int width = 32; width <= 136; width += 8) space.stages[0].width.push_back(width);
  space.stages.resize(3, space.stages[0]);
  for (size_t s = 1; s < space.stages.size(); ++s) space.stages[s].stride = 1;
  const LatencyModel weights = resource_model(Resource::kWeights, DataType::kInt8);
  const Decisions smallest = decisions_of(space, 0);  // all first options
  Target limit{.name = "weights",
               .models = {weights},
               .latency = CostTable(space, {weights}).price(smallest)};
  limit.is_limit = true;
  Decisions largest;
  for (const Choice& choice : choices(space)) largest.push_back(int(choice.options.size()) - 1);
  FakeWeights fake(space, largest);
  TunasSearch search(space, {.beta = -0.01, .targets = {limit}},
                     {.steps = 20, .candidates = 4, .seed = 3});
  EXPECT_EQ(search.out_of_reach(), "");
  const StageResult result = run_stage(search, fake, [](const StepRecord&) {});
  EXPECT_EQ(result.best.decisions, smallest);
  EXPECT_EQ(result.candidates.back().decisions, smallest);
}

TEST(Limits, ThatNothingMeetsAreRefused) {
  const LatencyModel memory = resource_model(Resource::kPeakMemory, DataType::kInt8);
  Target tight{.name = "peak memory", .models = {memory}, .latency = {{100}}};
  tight.is_limit = true;
  EXPECT_THAT(TunasSearch(tiny_space(), {.targets = {tight}}, {}).out_of_reach(),
              testing::HasSubstr("every architecture of space 'tiny' exceeds this limit"));
  tight.latency = {{1e9}};  // a limit may be wide
  EXPECT_EQ(TunasSearch(tiny_space(), {.targets = {tight}}, {}).out_of_reach(), "");
}

// With as many evaluations, breeding comes nearer to a planted optimum than chance does.
TEST_F(Candidates, EvolutionBeatsRandomSearchOnAFakeWithAnOptimum) {
  const TrialOptions options{.evaluations = 200, .tolerance = 0.3};
  double bred = 0, chance = 0;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    FakeWeights weights(space_, optimum_);
    std::mt19937_64 random(seed);
    const auto best = [](std::vector<Candidate> tried) {
      EXPECT_EQ(tried.size(), 200u);
      std::set<Decisions> different;
      for (const Candidate& candidate : tried) different.insert(candidate.decisions);
      EXPECT_EQ(different.size(), 200u);
      return std::min_element(tried.begin(), tried.end(), is_better)->accuracy;
    };
    chance += best(random_search(trial(weights), options, random));
    bred += best(evolution(trial(weights), options, random));
  }
  EXPECT_GT(bred, chance + 0.2);
}

// A space of 120 architectures: asked for more, every one near the target is tried, once.
TEST(RandomSearch, EndsWhenASpaceIsExhausted) {
  const SearchSpace space = tiny_space();
  const CostTable table(space, {{31.2}});
  std::mt19937_64 random(1);
  const Decisions optimum = sample(space, random);
  const Reward reward{.targets = {target_at(space, optimum, {{31.2}})}};
  FakeWeights weights(space, optimum);
  const auto tried = random_search({space, table, reward, weights},
                                   {.evaluations = 1000, .tolerance = 100}, random);
  EXPECT_EQ(tried.size(), 120u);
}

// Uniform methods never ask for the accuracy of a training step.
TEST(SearchMethods, TrainOnUniformSamplesAndFindTheOptimumAfterwards) {
  const SearchSpace space = tiny_space();
  std::mt19937_64 random(4);
  const Decisions optimum = sample(space, random);
  const Reward reward{.beta = -0.3, .targets = {target_at(space, optimum, {{31.2}})}};
  for (SearchMethod method : {SearchMethod::kRandom, SearchMethod::kEvolution}) {
    FakeWeights weights(space, optimum);
    TunasOptions options{.method = method, .steps = 40, .samples_per_step = 2};
    options.trials = {.evaluations = 120, .tolerance = 10};
    TunasSearch search(space, reward, options);
    while (!search.done()) EXPECT_TRUE(std::isnan(search.advance(weights).reward));
    EXPECT_EQ(weights.first_accuracy_step, -1);
    EXPECT_EQ(search.finish(weights).best.decisions, optimum) << to_string(method);
    EXPECT_EQ(search.finish(weights).best.decisions, optimum) << "asked again";
  }
}

TEST(SearchMethods, TrainNearTheTargetsWhereAToleranceSaysSo) {
  const SearchSpace space = load_search_space("fashion-mnist");
  std::mt19937_64 random(4);
  const Decisions optimum = sample(space, random);
  const Reward reward{.targets = {target_at(space, optimum, {{31.2}})}};
  const CostTable table(space, {{31.2}});
  FakeWeights weights(space, optimum);
  TunasOptions options{.method = SearchMethod::kRandom, .steps = 50, .controller_delay = 0};
  options.operation_warmup = options.filter_warmup = 0;
  options.sample_tolerance = 0.1;
  TunasSearch search(space, reward, options);
  while (!search.done()) {
    for (const Decisions& decisions : search.advance(weights).samples) {
      EXPECT_LE(reward.miss(table.price(decisions)), 0.1);
    }
  }
  options.method = SearchMethod::kTunas;
  EXPECT_THROW(TunasSearch(space, reward, options), Error);
}

Candidate tried(double accuracy, double latency) {
  return {.decisions = {}, .accuracy = accuracy, .latency = {{latency}}};
}

// By hand: (10, .5) and (20, .7) and (40, .9) are on the front; (20, .6), (30, .7), a second
// (10, .5) are not.
TEST(ParetoFront, KeepsWhatNoOtherBeats) {
  const Reward reward{.targets = {{"target", {{0}}, {{10}}}}};
  const std::vector<Candidate> all{tried(.9, 40), tried(.6, 20), tried(.7, 20),
                                   tried(.5, 10), tried(.7, 30), tried(.5, 10)};
  EXPECT_THAT(pareto_front(all, reward, 0), testing::ElementsAre(3, 2, 0));
}

// Every front against brute force over what was tried, for a ridge point each and for the range.
TEST(SearchFronts, GivesTheFrontOfEachTargetFromOneSetOfTrials) {
  const SearchSpace space = load_search_space("fashion-mnist");
  std::mt19937_64 random(5);
  const Decisions reference = sample(space, random);
  Reward reward;
  reward.targets = {target_at(space, reference, {{0}}), target_at(space, reference, {{500}}),
                    target_at(space, reference, spread_ridge_points(0, 500, 32))};
  const CostTable table(space, reward.models());
  FakeWeights weights(space, reference);
  const auto all = search_fronts({space, table, reward, weights}, 150, random);
  ASSERT_EQ(all.size(), 150u);
  for (size_t t = 0; t < reward.targets.size(); ++t) {
    std::vector<size_t> expected;
    const auto ratio = [&](const Candidate& one) { return reward.ratios(one.latency)[t]; };
    for (size_t i = 0; i < all.size(); ++i) {
      const bool beaten = std::any_of(all.begin(), all.end(), [&](const Candidate& other) {
        const bool equal = ratio(other) == ratio(all[i]) && other.accuracy == all[i].accuracy;
        return equal ? &other < &all[i]
                     : ratio(other) <= ratio(all[i]) && other.accuracy >= all[i].accuracy;
      });
      if (!beaten) expected.push_back(i);
    }
    EXPECT_THAT(pareto_front(all, reward, t), testing::UnorderedElementsAreArray(expected)) << t;
    EXPECT_GE(expected.size(), 3u);
  }
  EXPECT_EQ(all[0].latency.size(), 34u);
}

// Of the tiny space, those with at most the weights of the tenth lightest, and with those of the
// lightest alone, which uniform samples meet, too; by enumeration.
TEST(SearchFronts, TryNothingAboveALimit) {
  const SearchSpace space = tiny_space();
  const LatencyModel weights = resource_model(Resource::kWeights, DataType::kInt8);
  Reward reward{.targets = {target_at(space, decisions_of(space, 0), {{31.2}})}};
  reward.targets.push_back({.name = "weights", .models = {weights}, .latency = {{1e9}}});
  reward.targets.back().is_limit = true;
  const CostTable table(space, reward.models());
  std::set<Decisions> members;
  std::mt19937_64 random(8);
  for (int draw = 0; draw < 20000; ++draw) members.insert(sample(space, random));
  ASSERT_EQ(members.size(), 120u);
  std::set<double> prices;
  for (const Decisions& one : members) prices.insert(table.price(one)[1].value);
  FakeWeights fake(space, decisions_of(space, 0));
  for (const double limit : {*std::next(prices.begin(), 9), *prices.begin()}) {
    reward.targets.back().latency = {{limit}};
    const auto within = std::count_if(members.begin(), members.end(), [&](const Decisions& one) {
      return table.price(one)[1].value <= limit;
    });
    const auto all = search_fronts({space, table, reward, fake}, 100, random);
    EXPECT_EQ(all.size(), size_t(within));
    for (const Candidate& one : all) EXPECT_LE(one.latency[1].value, limit);
  }
  reward.targets.back().latency = {{*prices.begin() - 1}};
  try {
    search_fronts({space, table, reward, fake}, 100, random);
    FAIL() << "must be refused";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("within all limits; give wider limits"));
  }
}

// Uniform samples do not meet the one member with the fewest weights: the search begins with it.
TEST(SearchFronts, BeginWithTheLeastOfALimit) {
  const SearchSpace space = load_search_space("fashion-mnist");
  const LatencyModel weights = resource_model(Resource::kWeights, DataType::kInt8);
  std::mt19937_64 random(9);
  Reward reward{.targets = {target_at(space, sample(space, random), {{31.2}})}};
  const CostTable::Range range = CostTable(space, {weights}).reachable()[0];
  reward.targets.push_back(
      {.name = "weights", .models = {weights}, .latency = {1.02 * range.lowest}});
  reward.targets.back().is_limit = true;
  const CostTable table(space, reward.models());
  FakeWeights fake(space, range.least);
  const auto all = search_fronts({space, table, reward, fake}, 4, random);
  EXPECT_EQ(all[0].decisions, range.least);
  for (const Candidate& one : all) EXPECT_TRUE(one.is_within_limits);
}

}  // namespace
}  // namespace ridgewalk
