#include "supernet/kernels/cpu_level.h"

#include <algorithm>

namespace ridgewalk {
namespace {

CpuLevel level_of_this_cpu() {
#ifdef RIDGEWALK_X86
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return CpuLevel::kBase;
  const bool is_wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (!is_wide) return CpuLevel::kAvx2;
  return __builtin_cpu_supports("avx512bf16") ? CpuLevel::kAvx512Bf16 : CpuLevel::kAvx512;
#else
  return CpuLevel::kBase;
#endif
}

CpuLevel& chosen_level() {
  static CpuLevel level = level_of_this_cpu();
  return level;
}

}  // namespace

CpuLevel cpu_level() { return chosen_level(); }
void limit_cpu_level(CpuLevel most) { chosen_level() = std::min(most, level_of_this_cpu()); }

}  // namespace ridgewalk
