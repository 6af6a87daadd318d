// Compiled for the vectors of several CPUs; the program picks the widest that its machine has.
#pragma once

// Clones are named by level, because a name like skylake-avx512 matches only Intel's CPUs.
#if defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 12 && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define RIDGEWALK_EACH_CPU \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define RIDGEWALK_EACH_CPU
#endif

// For the parts of such functions, and of those in vectors.h.
#define RIDGEWALK_INLINE inline __attribute__((always_inline))
