// What this machine trains faster in, fp32 or bf16: measured once and stored.
#pragma once

#include <string>

#include "space/data_type.h"

namespace ridgewalk {

// Training images per second of CPU time of mnv4-conv-small at 64 pixels on one thread.
struct TrainingRates {
  double fp32 = 0;
  double bf16 = 0;
};
TrainingRates measure_training_rates();

// $XDG_CACHE_HOME/ridgewalk/precision.yaml, or that under ~/.cache; empty where neither is set.
std::string precision_file();

// The faster precision, by the rates that `file` holds for this CPU, LibTorch and oneDNN. Where it
// holds none, they are measured, which takes a second, is said on stderr unless `quiet`, and stored
// if the file can be written.
DataType faster_precision(const std::string& file, bool quiet);

}  // namespace ridgewalk
