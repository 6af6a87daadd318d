#include "space/random.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <random>
#include <utility>

namespace ridgewalk {

uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t z = a + 0x9e3779b97f4a7c15ull * (b + 1);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// Fisher-Yates shuffle.
std::vector<int64_t> permutation(int64_t size, uint64_t seed) {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  std::mt19937_64 random(seed);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  return order;
}

// Box-Muller transform.
double Random::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

// The logarithm of a gamma variate, since a variate of small shape underflows. Marsaglia and Tsang,
// "A simple method for generating gamma variables" (2000); below shape 1, a variate of shape + 1
// times uniform^(1 / shape), as they propose.
double Random::log_gamma_variate(double shape) {
  if (shape < 1) return log_gamma_variate(shape + 1) + std::log(1 - uniform()) / shape;
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = normal();
    const double root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(1 - uniform()) < 0.5 * x * x + d * (1 - v + std::log(v))) {
      return std::log(d) + std::log(v);
    }
  }
}

double Random::beta(double alpha) {
  const double a = log_gamma_variate(alpha);
  const double b = log_gamma_variate(alpha);
  return 1 / (1 + std::exp(b - a));
}

}  // namespace ridgewalk
