// Random numbers that are the same on every platform, unlike the standard library's distributions.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace ridgewalk {

// One well-mixed seed from two (splitmix64).
uint64_t mix(uint64_t a, uint64_t b);

// 0 to size - 1 in a random order.
std::vector<int64_t> permutation(int64_t size, uint64_t seed);

// Uniform in [0, 1), from 53 bits.
inline double uniform(std::mt19937_64& random) { return double(random() >> 11) * 0x1p-53; }

// The sequence of random numbers of a seed.
class Random {
 public:
  explicit Random(uint64_t seed) : seed_(seed) {}

  uint64_t bits() { return mix(seed_, count_++); }
  double uniform() { return double(bits() >> 11) * 0x1p-53; }  // in [0, 1)
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  int64_t below(int64_t count) { return int64_t(bits() % uint64_t(count)); }  // in [0, count)
  bool chance(double probability) { return uniform() < probability; }
  // Beta(alpha, alpha), alpha > 0.
  double beta(double alpha);

 private:
  double normal();
  double log_gamma_variate(double shape);

  uint64_t seed_;
  uint64_t count_ = 0;
};

}  // namespace ridgewalk
