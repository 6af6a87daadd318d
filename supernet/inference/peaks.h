// What this machine's CPU gives at most, measured.
#pragma once

#include <optional>
#include <string>

#include "roofline/cost.h"

namespace ridgewalk {

// Median over repeats, and their interquartile range over it.
struct MeasuredRate {
  double value = 0;
  double spread = 0;
};

// 1e9 MACs/s of products of two square matrices by oneDNN, of the size that suits it best. Nothing
// where it has no kernel of its own for the type on this CPU or would emulate it. fp32 and bf16
// accumulate in fp32, int8 in int32.
std::optional<MeasuredRate> measure_peak_gmacs(DataType type, int threads);

// 1e9 bytes/s read from a working set of `size`, divided among the threads, over and over: sets
// that fit into a cache are read from it.
MeasuredRate measure_bandwidth_gbps(Bytes size, int threads);

// "AMD EPYC", as the operating system has it; "CPU" where it does not say.
std::string cpu_name();

}  // namespace ridgewalk
