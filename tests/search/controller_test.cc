#include "search/controller.h"

#include <cmath>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "space/error.h"
#include "tests/search/tiny_space.h"

namespace ridgewalk {
namespace {

TEST(Controller, StartsUniform) {
  const SearchSpace space = tiny_space();
  const Controller controller(space, {});
  for (const auto& probabilities : controller.probabilities()) {
    for (double p : probabilities) EXPECT_NEAR(p, 1.0 / double(probabilities.size()), 1e-12);
  }
}

TEST(Controller, LogProbabilityCountsActiveChoicesOnly) {
  const SearchSpace space = tiny_space();
  const Controller controller(space, {});
  // Depth 1 of {1, 2}: widths 2, depth 2, kernel1 3, kernel2 2 options; the second block is unused.
  const Decisions shallow = encode(space, decode(space, decisions_of(space, 0)));
  EXPECT_NEAR(controller.log_probability(shallow), -std::log(2 * 2 * 3 * 2), 1e-12);
  const Decisions deep = encode(space, decode(space, decisions_of(space, 1)));
  EXPECT_NEAR(controller.log_probability(deep), -std::log(2 * 2 * 3 * 2 * 3 * 3), 1e-12);
}

// One update by hand. A single sample of reward 1 with baseline momentum 0.5: the debiased baseline
// after it is the reward itself, so nothing moves.
TEST(Controller, TheStepsOwnRewardIsInTheBaseline) {
  const SearchSpace space = tiny_space();
  Controller controller(space, {.baseline_momentum = 0.5});
  const std::vector<Decisions> samples{controller.most_probable()};
  controller.update(samples, std::vector<double>{1.0}, 0);
  EXPECT_DOUBLE_EQ(controller.baseline(), 1);
  const std::vector<double> depth = controller.probabilities()[depth_choice(space)];
  for (double p : depth) EXPECT_DOUBLE_EQ(p, 0.5);
  // Second reward 0: sum = 0.5 * 0.5 = 0.25, weight = 0.75, baseline 1/3.
  controller.update(samples, std::vector<double>{0.0}, 0);
  EXPECT_NEAR(controller.baseline(), 1.0 / 3, 1e-15);
}

// Two samples that differ in depth, rewards 1 and 0: baseline 0.5, advantages +-0.5. Gradients on
// the depth logits are (p - onehot) * advantage = 0.5 * (-0.5, 0.5) and -0.5 * (0.5, -0.5): both
// (-0.25, 0.25). Mean (-0.25, 0.25), mean of squares 0.0625, so the first step is the learning rate
// in the direction of the sign, whatever beta2.
TEST(Controller, UpdatesByHand) {
  const SearchSpace space = tiny_space();
  Controller controller(space, {.learning_rate = 0.1, .learning_rate_growth = 1});
  const std::vector<Decisions> samples{decode_depth(space, 0), decode_depth(space, 1)};
  controller.update(samples, std::vector<double>{1.0, 0.0}, 0);
  const auto p = controller.probabilities()[depth_choice(space)];
  EXPECT_NEAR(p[0], 1 / (1 + std::exp(-0.2)), 1e-6);
}

// The second moment squares first and averages after: two samples of the same depth whose
// advantages cancel leave no mean gradient, but a second moment that slows the next step.
TEST(Controller, SecondMomentAveragesSquares) {
  const SearchSpace space = tiny_space();
  const ControllerOptions options{.learning_rate = 0.1, .learning_rate_growth = 1};
  Controller calm(space, options), torn(space, options);
  const std::vector<Decisions> same{decode_depth(space, 0), decode_depth(space, 0)};
  const std::vector<Decisions> differ{decode_depth(space, 0), decode_depth(space, 1)};
  torn.update(same, std::vector<double>{1.0, 0.0}, 0);
  EXPECT_NEAR(torn.probabilities()[depth_choice(space)][0], 0.5, 1e-12);
  calm.observe(std::vector<double>{0.5});
  const std::vector<double> rewards{0.6, 0.4};  // advantages of 0.1: gradients of 0.05
  torn.update(differ, rewards, 0);
  calm.update(differ, rewards, 0);
  const double calm_step = std::log(calm.probabilities()[depth_choice(space)][0] /
                                    calm.probabilities()[depth_choice(space)][1]);
  const double torn_step = std::log(torn.probabilities()[depth_choice(space)][0] /
                                    torn.probabilities()[depth_choice(space)][1]);
  EXPECT_NEAR(calm_step, 0.2, 1e-6);
  // Squares 0.25^2 before and 0.05^2 now; debiased second moment is nearly their mean.
  const double second = (0.999 * 0.001 * 0.0625 + 0.001 * 0.0025) / (1 - 0.999 * 0.999);
  EXPECT_NEAR(torn_step, 2 * 0.1 * 0.05 / std::sqrt(second), 1e-6);
}

TEST(Controller, UnusedChoicesGetNoGradient) {
  const SearchSpace space = tiny_space();
  Controller controller(space, {});
  const std::vector<Decisions> samples{decode_depth(space, 0), decode_depth(space, 0)};
  controller.update(samples, std::vector<double>{1.0, 0.0}, 0);
  const auto layout = choice_layout(space);
  const auto kernel1 = controller.probabilities()[layout.stages[0].blocks[1].kernel1];
  for (double p : kernel1) EXPECT_DOUBLE_EQ(p, 1.0 / 3);
}

// With one sample and beta2 = 0 the second moment is the squared gradient of this update alone, so
// it and the step give the gradient back: -advantage * log p by central differences, in all logits.
TEST(Controller, UpdateTakesTheGradientOfTheLogProbability) {
  const SearchSpace space = tiny_space();
  const double rate = 0.3;
  Controller controller(space, {.learning_rate = rate, .learning_rate_growth = 1, .beta2 = 0});
  std::mt19937_64 random(1);
  for (int i = 0; i < 5; ++i) {
    controller.update(std::vector<Decisions>{controller.sample(random), controller.sample(random)},
                      std::vector<double>{1.0, 0.0}, 0);
  }
  const std::vector<Choice> list = choices(space);
  for (int depth : {0, 1}) {
    const Decisions sample = decode_depth(space, depth);
    const Controller before = controller;
    controller.update(std::vector<Decisions>{sample}, std::vector<double>{2.0}, 0);
    const double advantage = 2.0 - controller.baseline();
    const auto old_state = nlohmann::json::parse(before.state());
    const auto state = nlohmann::json::parse(controller.state());
    size_t logit = 0;
    for (size_t c = 0; c < list.size(); ++c) {
      for (size_t option = 0; option < list[c].options.size(); ++option, ++logit) {
        const double step =
            state["logits"][logit].get<double>() - old_state["logits"][logit].get<double>();
        const double root = std::sqrt(state["second_moment"][logit].get<double>());
        const auto shifted = [&](double by) {
          return log_probability_with(before, space, sample, int(c), int(option), by);
        };
        const double numeric = -advantage * (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
        EXPECT_NEAR(-step / rate * (root + 1e-8), numeric, 1e-7) << list[c].name << ' ' << option;
      }
    }
  }
}

TEST(Controller, SamplesInProportionToItsProbabilities) {
  const SearchSpace space = tiny_space();
  Controller controller(space, {.learning_rate = 0.4, .learning_rate_growth = 1});
  controller.update(std::vector<Decisions>{decode_depth(space, 0), decode_depth(space, 1)},
                    std::vector<double>{1.0, 0.0}, 0);
  const double p = controller.probabilities()[depth_choice(space)][0];
  std::mt19937_64 random(3);
  int shallow = 0;
  for (int i = 0; i < 20000; ++i) shallow += controller.sample(random)[depth_choice(space)] == 0;
  EXPECT_NEAR(shallow / 20000.0, p, 0.015);
}

TEST(Controller, LearningRateGrowsOverTheRun) {
  const SearchSpace space = tiny_space();
  const ControllerOptions options{.learning_rate = 0.01, .learning_rate_growth = 10};
  Controller early(space, options), late(space, options);
  const std::vector<Decisions> samples{decode_depth(space, 0), decode_depth(space, 1)};
  early.update(samples, std::vector<double>{1.0, 0.0}, 0);
  late.update(samples, std::vector<double>{1.0, 0.0}, 1);
  const auto step = [&](const Controller& controller) {
    const auto p = controller.probabilities()[depth_choice(space)];
    return std::log(p[0] / p[1]);
  };
  EXPECT_NEAR(step(late) / step(early), 10, 1e-3);
}

TEST(Controller, MostProbableAgreesWithEnumeration) {
  const SearchSpace space = tiny_space();
  Controller controller(space, {.learning_rate = 0.5, .learning_rate_growth = 1});
  std::mt19937_64 random(9);
  for (int i = 0; i < 6; ++i) {
    controller.update(std::vector<Decisions>{controller.sample(random), controller.sample(random)},
                      std::vector<double>{double(random() % 100), double(random() % 100)}, 0);
  }
  std::map<Decisions, double> all;
  for (int i = 0; i < 20000; ++i) {
    const Decisions decisions = sample(space, random);
    all[decisions] = controller.log_probability(decisions);
  }
  ASSERT_EQ(double(all.size()), size(space));
  std::vector<double> best;
  for (const auto& [decisions, log_probability] : all) best.push_back(log_probability);
  std::sort(best.rbegin(), best.rend());
  for (size_t count : {size_t{1}, size_t{8}, all.size()}) {
    const auto found = controller.most_probable(int(count));
    ASSERT_EQ(found.size(), count);
    EXPECT_EQ(std::set<Decisions>(found.begin(), found.end()).size(), count);
    for (size_t i = 0; i < count; ++i) {
      EXPECT_NEAR(controller.log_probability(found[i]), best[i], 1e-9) << i;
    }
  }
}

TEST(Controller, GoesOnFromItsStateBitForBit) {
  const SearchSpace space = tiny_space();
  const auto run = [&](Controller& controller, std::mt19937_64& random, int steps) {
    for (int i = 0; i < steps; ++i) {
      const std::vector<Decisions> samples{controller.sample(random), controller.sample(random)};
      controller.update(samples, std::vector<double>{0.1 * double(samples[0][6] + 2), 0.37}, 0.3);
    }
  };
  Controller whole(space, {}), first(space, {}), second(space, {});
  std::mt19937_64 a(4), b(4);
  run(whole, a, 40);
  run(first, b, 17);
  second.restore(first.state());
  run(second, b, 23);
  EXPECT_EQ(whole.state(), second.state());
}

TEST(Controller, RefusesAStateThatIsNotItsOwn) {
  Controller controller(tiny_space(), {});
  EXPECT_THROW(controller.restore("{}"), Error);
  EXPECT_THROW(controller.restore("rubbish"), Error);
  EXPECT_THROW(controller.restore(Controller(load_search_space("mobile"), {}).state()), Error);
}

}  // namespace
}  // namespace ridgewalk
