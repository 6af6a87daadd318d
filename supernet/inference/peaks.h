// The measured peak rates of this machine's CPU.
#pragma once

#include <optional>
#include <string>

#include "roofline/cost.h"

namespace ridgewalk {

// The median over repeats, and their interquartile range divided by it.
struct MeasuredRate {
  double value = 0;
  double spread = 0;
};

// 1e9 MACs/s of oneDNN's product of two square matrices, at the fastest of several sizes. Nothing
// if oneDNN has no optimised kernel for the type on this CPU or the CPU would emulate it. fp32 and
// bf16 accumulate in fp32, int8 in int32.
std::optional<MeasuredRate> measure_peak_gmacs(DataType type, int threads);

// 1e9 bytes/s read, over and over, from a working set of `size` that is divided among the threads:
// one that fits into a cache is read from it.
MeasuredRate measure_bandwidth_gbps(Bytes size, int threads);

// The operating system's name for the CPU, such as "AMD EPYC"; "CPU" if it has none.
std::string cpu_name();

}  // namespace ridgewalk
