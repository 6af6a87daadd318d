// Random numbers that are the same on every platform, unlike the standard's distributions.
#pragma once

#include <random>

namespace ridgewalk {

// Uniform in [0, 1), from 53 bits.
inline double uniform(std::mt19937_64& random) { return double(random() >> 11) * 0x1p-53; }

}  // namespace ridgewalk
