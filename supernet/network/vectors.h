// Vector registers as types of the compiler's, for kernels that are compiled for several CPUs. Only
// for the .cc files of kernels.
#pragma once

#include <cstdint>

#include "supernet/network/bf16.h"
#include "supernet/network/each_cpu.h"

namespace ridgewalk {

// What a CPU computes with, each including the ones before it: a register of 16, 32 or 64 bytes,
// and products of bf16.
enum class CpuLevel { kBase, kAvx2, kAvx512, kAvx512Bf16 };

// The highest that this CPU has.
inline CpuLevel cpu_level() {
#if defined(__x86_64__)
  static const CpuLevel level = [] {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return CpuLevel::kBase;
    const bool is_wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (!is_wide) return CpuLevel::kAvx2;
    return __builtin_cpu_supports("avx512bf16") ? CpuLevel::kAvx512Bf16 : CpuLevel::kAvx512;
  }();
  return level;
#else
  return CpuLevel::kBase;
#endif
}

#if defined(__x86_64__)
#define RIDGEWALK_AVX2 __attribute__((target("avx2,fma,bmi2")))
#define RIDGEWALK_AVX512 \
  __attribute__((        \
      target("avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))
#endif

// Registers of one CPU: `kLanes` numbers of fp32. They are passed by reference only, because how
// one is passed by value depends on the CPU that the caller is compiled for.
template <int kBytes>
struct Vectors;

#define RIDGEWALK_VECTORS(BYTES)                                                            \
  template <>                                                                               \
  struct Vectors<BYTES> {                                                                   \
    static constexpr int kLanes = BYTES / 4;                                                \
    typedef float Float __attribute__((vector_size(BYTES), may_alias));                     \
    typedef uint32_t Word __attribute__((vector_size(BYTES), may_alias));                   \
    typedef int32_t Int __attribute__((vector_size(BYTES), may_alias));                     \
    typedef uint16_t Half __attribute__((vector_size(BYTES / 2), may_alias));               \
    typedef float FloatAt __attribute__((vector_size(BYTES), may_alias, aligned(4)));       \
    typedef uint32_t WordAt __attribute__((vector_size(BYTES), may_alias, aligned(4)));     \
    typedef uint16_t HalfAt __attribute__((vector_size(BYTES / 2), may_alias, aligned(2))); \
  };
RIDGEWALK_VECTORS(16)
RIDGEWALK_VECTORS(32)
RIDGEWALK_VECTORS(64)
#undef RIDGEWALK_VECTORS

template <class V>
RIDGEWALK_INLINE void load(const float* from, typename V::Float& to) {
  to = *reinterpret_cast<const typename V::FloatAt*>(from);
}
template <class V>
RIDGEWALK_INLINE void load(const Bf16* from, typename V::Float& to) {
  const auto halves = *reinterpret_cast<const typename V::HalfAt*>(from);
  to = (typename V::Float)(__builtin_convertvector(halves, typename V::Word) << 16);
}
template <class V>
RIDGEWALK_INLINE void store(const typename V::Float& from, float* to) {
  *reinterpret_cast<typename V::FloatAt*>(to) = from;
}
// Rounds as store() of one number does.
template <class V>
RIDGEWALK_INLINE void store(const typename V::Float& from, Bf16* to) {
  using Word = typename V::Word;
  const Word bits = (Word)from;
  const Word special = (Word)((bits & 0x7f800000) == 0x7f800000);
  const Word up = (0x7fff + ((bits >> 16) & 1)) & ~special;
  *reinterpret_cast<typename V::HalfAt*>(to) =
      __builtin_convertvector((bits + up) >> 16, typename V::Half);
}

}  // namespace ridgewalk
