// Vector registers as types of the compiler's, for kernels that are compiled for several CPUs. Only
// for the .cc files of kernels.
#pragma once

#include <cstdint>
#include <type_traits>

#include "supernet/kernels/bf16.h"
#include "supernet/kernels/cpu_level.h"
#include "supernet/kernels/each_cpu.h"

namespace ridgewalk {

#ifdef RIDGEWALK_X86
#define RIDGEWALK_AVX2 __attribute__((target("avx2,fma,bmi2")))
#define RIDGEWALK_AVX512 \
  __attribute__((        \
      target("avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))
#endif

// Returns what the variant of a function for this CPU returns: NAME_base(), NAME_avx2() and so on.
#ifdef RIDGEWALK_X86
#define RIDGEWALK_FOR_THIS_CPU(NAME, ...)     \
  switch (cpu_level()) {                      \
    case CpuLevel::kAvx512Bf16:               \
      return NAME##_avx512_bf16(__VA_ARGS__); \
    case CpuLevel::kAvx512:                   \
      return NAME##_avx512(__VA_ARGS__);      \
    case CpuLevel::kAvx2:                     \
      return NAME##_avx2(__VA_ARGS__);        \
    case CpuLevel::kBase:                     \
      break;                                  \
  }                                           \
  return NAME##_base(__VA_ARGS__)
#else
#define RIDGEWALK_FOR_THIS_CPU(NAME, ...) return NAME##_base(__VA_ARGS__)
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
    typedef int32_t IntAt __attribute__((vector_size(BYTES), may_alias, aligned(4)));       \
    typedef uint16_t HalfAt __attribute__((vector_size(BYTES / 2), may_alias, aligned(2))); \
  };
RIDGEWALK_VECTORS(4)  // for what is left over
RIDGEWALK_VECTORS(16)
RIDGEWALK_VECTORS(32)
RIDGEWALK_VECTORS(64)
#undef RIDGEWALK_VECTORS

// Those of a CPU that has instructions for bf16.
struct Bf16Vectors : Vectors<64> {};
template <class V>
inline constexpr bool kHasBf16 = std::is_same_v<V, Bf16Vectors>;

template <class V>
RIDGEWALK_INLINE void load(const float* from, typename V::Float& to) {
  to = *reinterpret_cast<const typename V::FloatAt*>(from);
}
template <class V>
RIDGEWALK_INLINE void widen(const typename V::Half& from, typename V::Word& to) {
#ifdef RIDGEWALK_X86
  // Compilers make five instructions of it.
  if constexpr (V::kLanes > 4) {
    asm("vpmovzxwd %1, %0" : "=v"(to) : "vm"(from));
    return;
  }
#endif
  to = __builtin_convertvector(from, typename V::Word);
}
template <class V>
RIDGEWALK_INLINE void load(const Bf16* from, typename V::Float& to) {
  const typename V::Half halves = *reinterpret_cast<const typename V::HalfAt*>(from);
  typename V::Word words;
  widen<V>(halves, words);
  to = (typename V::Float)(words << 16);
}
template <class V>
RIDGEWALK_INLINE void load(const int32_t* from, typename V::Int& to) {
  to = *reinterpret_cast<const typename V::IntAt*>(from);
}
template <class V>
RIDGEWALK_INLINE void store(const typename V::Float& from, float* to) {
  *reinterpret_cast<typename V::FloatAt*>(to) = from;
}
template <class V>
RIDGEWALK_INLINE void store(const typename V::Int& from, int32_t* to) {
  *reinterpret_cast<typename V::IntAt*>(to) = from;
}
// Rounds as store() of one number does, but that instructions for bf16 make subnormal numbers 0 and
// change the bits of NaN.
template <class V>
RIDGEWALK_INLINE void round(const typename V::Float& from, typename V::Half& to) {
#ifdef RIDGEWALK_X86
  if constexpr (kHasBf16<V>) {
    asm("vcvtneps2bf16 %1, %0" : "=v"(to) : "v"(from));
    return;
  }
#endif
  using Word = typename V::Word;
  const Word bits = (Word)from;
  const Word special = (Word)((bits & 0x7f800000) == 0x7f800000);
  const Word up = (0x7fff + ((bits >> 16) & 1)) & ~special;
  to = __builtin_convertvector((bits + up) >> 16, typename V::Half);
}
template <class V>
RIDGEWALK_INLINE void store(const typename V::Float& from, Bf16* to) {
  typename V::Half rounded;
  round<V>(from, rounded);
  *reinterpret_cast<typename V::HalfAt*>(to) = rounded;
}

// Sets x to 0 where it is negative, or where y is not positive. NaN stays.
template <class V>
RIDGEWALK_INLINE void keep_positive(typename V::Float& x) {
  const auto is_negative = (typename V::Word)(x < 0.0F);
  x = (typename V::Float)((typename V::Word)x & ~is_negative);
}
template <class V>
RIDGEWALK_INLINE void keep_where_positive(const typename V::Float& y, typename V::Float& x) {
  const auto is_off = (typename V::Word)(y <= 0.0F);
  x = (typename V::Float)((typename V::Word)x & ~is_off);
}

// rows[i][j] and rows[i + kStep][j] trade places in blocks of kStep by kStep.
template <class V, int kStep>
RIDGEWALK_INLINE void trade_blocks(typename V::Word (&rows)[V::kLanes]) {
  constexpr int kLanes = V::kLanes;
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if ((i & kStep) != 0) continue;
    const typename V::Word low = rows[i], high = rows[i + kStep];
#ifdef RIDGEWALK_X86
    typename V::Int first, second;
#pragma GCC unroll 16
    for (int j = 0; j < kLanes; ++j) {
      first[j] = (j & kStep) != 0 ? kLanes + j - kStep : j;
      second[j] = (j & kStep) != 0 ? kLanes + j : j + kStep;
    }
    rows[i] = __builtin_shuffle(low, high, first);
    rows[i + kStep] = __builtin_shuffle(low, high, second);
#else
    for (int j = 0; j < kLanes; ++j) {
      rows[i][j] = (j & kStep) != 0 ? high[j - kStep] : low[j];
      rows[i + kStep][j] = (j & kStep) != 0 ? high[j] : low[j + kStep];
    }
#endif
  }
}

template <class V>
RIDGEWALK_INLINE void transpose(typename V::Word (&rows)[V::kLanes]) {
  if constexpr (V::kLanes > 8) trade_blocks<V, 8>(rows);
  if constexpr (V::kLanes > 4) trade_blocks<V, 4>(rows);
  trade_blocks<V, 2>(rows);
  trade_blocks<V, 1>(rows);
}

}  // namespace ridgewalk
