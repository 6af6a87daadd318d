// What the CPU at hand computes with.
#pragma once

// The compiler that knows how to compile for other CPUs than the one at hand, as in each_cpu.h.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define RIDGEWALK_X86
#endif

namespace ridgewalk {

// Each includes the ones before it: registers of 16, 32 or 64 bytes, and products of bf16.
enum class CpuLevel { kBase, kAvx2, kAvx512, kAvx512Bf16 };

// The highest that this CPU has, or what it was limited to.
CpuLevel cpu_level();
// For tests, while no kernel runs. Kernels chosen by the loader (each_cpu.h) do not follow.
void limit_cpu_level(CpuLevel most);

}  // namespace ridgewalk
