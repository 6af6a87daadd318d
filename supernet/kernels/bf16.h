// Numbers of bf16 as kernels see them.
#pragma once

#include <bit>
#include <cstdint>

namespace ridgewalk {

// The upper 16 bits of an fp32.
struct Bf16 {
  uint16_t bits;
};
inline float to_float(float x) { return x; }
inline float to_float(Bf16 x) { return std::bit_cast<float>(uint32_t(x.bits) << 16); }

inline void store(float x, float& to) { to = x; }
// Rounds to nearest, ties to even. Infinities and NaN, which rounding up would change, are
// truncated.
inline void store(float x, Bf16& to) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const uint32_t up = (bits & 0x7f800000) == 0x7f800000 ? 0 : 0x7fff + ((bits >> 16) & 1);
  to.bits = uint16_t((bits + up) >> 16);
}

}  // namespace ridgewalk
