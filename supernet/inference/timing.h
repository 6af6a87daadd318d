// How long a network takes on this machine.
#pragma once

#include <string>
#include <vector>

#include "supernet/inference/inference.h"

namespace ridgewalk {

struct TimingOptions {
  int threads = 1;
  int repeats = 9;
  double seconds = 0.1;  // of runs in each repeat, and of warm-up before the first
  bool per_step = false;
};

// Throws Error for options out of range.
void validate(const TimingOptions& options);

struct StepTiming {
  Inference::Step step;
  double seconds = 0;  // median over runs
};

struct Timing {
  double median_seconds = 0;   // of the medians of the repeats
  double spread = 0;           // their interquartile range divided by the median
  double fastest_seconds = 0;  // of all runs: as on a machine that does nothing else
  int threads = 1;
  int repeats = 0;
  int runs = 0;  // in each repeat
  std::vector<StepTiming> steps = {};
};

// Runs `network` on random images with the threads that it was compiled for, at least three times
// per repeat. Steps are timed in separate runs between the repeats, since the clock adds a little.
Timing measure(Inference& network, const TimingOptions& options = {});

// Compiles and measures. Sets the number of threads (at::set_num_threads) and does not restore it.
// Throws Error for options out of range.
Timing measure(const Network& folded, int batch = 1, DataType precision = DataType::kFp32,
               const TimingOptions& options = {});

}  // namespace ridgewalk
