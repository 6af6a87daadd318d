#include "experiments/evidence/perfect_judge.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "roofline/statistics.h"
#include "space/random.h"

namespace ridgewalk {
namespace {

double sample_variance(const std::vector<double>& values) {
  const double center = mean(values);
  double squares = 0;
  for (double value : values) squares += (value - center) * (value - center);
  return squares / double(values.size() - 1);
}

// Box and Muller's (1958).
double standard_normal(Random& random) {
  const double radius = std::sqrt(-2 * std::log1p(-random.uniform()));
  return radius * std::cos(2 * std::numbers::pi * random.uniform());
}

}  // namespace

double best_spearman(double agreement, double trainings) {
  const double reliability = std::max(0.0, agreement);
  return std::sqrt(trainings * reliability / (1 + (trainings - 1) * reliability));
}

double best_kendall(const std::vector<std::vector<double>>& trainings, uint64_t seed) {
  constexpr int kSimulations = 200;
  std::vector<double> means, luck;  // of each network; the variance of its mean by luck
  for (const std::vector<double>& one : trainings) {
    means.push_back(mean(one));
    luck.push_back(sample_variance(one) / double(one.size()));
  }
  const double center = mean(means), spread = sample_variance(means), by_luck = mean(luck);
  const double shrink = spread > 0 ? std::sqrt(std::max(0.0, 1 - by_luck / spread)) : 0;
  if (shrink == 0) return 0;
  std::vector<double> own;
  for (double value : means) own.push_back(center + shrink * (value - center));
  Random random(seed);
  std::vector<double> taus;
  for (int i = 0; i < kSimulations; ++i) {
    std::vector<double> seen;
    for (double value : own) {
      seen.push_back(value + std::sqrt(by_luck) * standard_normal(random));
    }
    taus.push_back(kendall_tau_b(own, seen));
  }
  return mean(taus);
}

}  // namespace ridgewalk
