// Shared weights with a known best architecture: a whole search takes milliseconds and no LibTorch.
#pragma once

#include <cstdint>

#include "search/shared_weights.h"

namespace ridgewalk {

// The accuracy of a sample is 1 less `penalty` per option between it and the planted optimum,
// summed over the choices (so that a slightly wider filter costs less than a much wider one), plus
// noise of standard deviation `noise` that depends only on seed, step and sample. With the latency
// of the optimum as the target, the optimum has the largest reward:
//
//   FakeWeights weights(space, optimum, {.noise = 0.01});
//   TunasSearch search(space, reward_at_the_latency_of(optimum), options);
//   run_stage(search, weights, after_step).best.decisions == optimum
struct FakeOptions {
  double penalty = 0.05;
  double noise = 0;
  uint64_t seed = 0;
  int not_finite_at = -1;  // the step whose loss is NaN
};

class FakeWeights : public SharedWeights {
 public:
  FakeWeights(const SearchSpace& space, Decisions optimum, const FakeOptions& options = {});

  double train(int step, std::span<const Decisions> samples) override;
  std::vector<double> accuracy(int step, std::span<const Decisions> samples) override;
  double validate(const Decisions& sample) override;

  int train_calls = 0;
  int first_accuracy_step = -1;  // -1 before the first call of accuracy()

 private:
  std::vector<Choice> choices_;
  Decisions optimum_;
  FakeOptions options_;
};

}  // namespace ridgewalk
