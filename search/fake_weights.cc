#include "search/fake_weights.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <utility>

#include "space/random.h"

namespace ridgewalk {

FakeWeights::FakeWeights(const SearchSpace& space, Decisions optimum, const FakeOptions& options)
    : choices_(choices(space)), optimum_(std::move(optimum)), options_(options) {}

double FakeWeights::train(int step, std::span<const Decisions>) {
  ++train_calls;
  if (step == options_.not_finite_at) return std::numeric_limits<double>::quiet_NaN();
  return 2.3 / (1 + 0.01 * step);
}

std::vector<double> FakeWeights::accuracy(int step, std::span<const Decisions> samples) {
  if (first_accuracy_step < 0) first_accuracy_step = step;
  std::vector<double> accuracies;
  for (size_t k = 0; k < samples.size(); ++k) {
    std::seed_seq seeds{options_.seed, uint64_t(step), uint64_t(k)};
    std::mt19937_64 random(seeds);
    const double unit = (uniform(random) - 0.5) * std::sqrt(12.0);  // standard deviation 1
    accuracies.push_back(validate(samples[k]) + options_.noise * unit);
  }
  return accuracies;
}

double FakeWeights::validate(const Decisions& sample) {
  double accuracy = 1;
  for (size_t c = 0; c < choices_.size(); ++c) {
    if (sample[c] == optimum_[c]) continue;
    const bool both = sample[c] >= 0 && optimum_[c] >= 0;
    accuracy -= options_.penalty * (both ? std::abs(sample[c] - optimum_[c]) : 1);
  }
  return std::max(0.0, accuracy);
}

}  // namespace ridgewalk
