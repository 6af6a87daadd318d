// Shared weights whose best architecture is known: a whole search in milliseconds, without
// LibTorch.
#pragma once

#include <cstdint>

#include "search/shared_weights.h"

namespace ridgewalk {

// Accuracy falls from 1 by `penalty` for every choice in which a sample differs from the planted
// optimum, by the distance between the options (so that a wider filter is a little wrong, a much
// wider one more), plus noise of deviation `noise` that is a function of seed, step and sample
// alone. Give a search the optimum's own latency as its target, and the optimum has the largest
// reward:
//
//   FakeWeights weights(space, optimum, {.noise = 0.01});
//   TunasSearch search(space, reward_at_the_latency_of(optimum), options);
//   run_stage(search, weights, after_step).best.decisions == optimum
struct FakeOptions {
  double penalty = 0.05;
  double noise = 0;
  uint64_t seed = 0;
  int not_finite_at = -1;  // step whose loss is not a number
};

class FakeWeights : public SharedWeights {
 public:
  FakeWeights(const SearchSpace& space, Decisions optimum, const FakeOptions& options = {});

  double train(int step, std::span<const Decisions> samples) override;
  std::vector<double> accuracy(int step, std::span<const Decisions> samples) override;
  double validate(const Decisions& sample) override;

  int train_calls = 0;
  int first_accuracy_step = -1;  // -1: never asked

 private:
  std::vector<Choice> choices_;
  Decisions optimum_;
  FakeOptions options_;
};

}  // namespace ridgewalk
