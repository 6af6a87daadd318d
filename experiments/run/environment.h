// The program, its libraries and the machine: what `ridgewalk --version` prints and each run's
// folder records.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace ridgewalk {

// Names and values, in the order in which they are shown: ridgewalk, compiler, libtorch, onednn,
// onnx, cpu, cpu_features, threads, and gpus where there are any. Libraries are those loaded.
// `cpu_features` are the kernel's names of the vector and matrix extensions that decide which
// kernels run.
std::vector<std::pair<std::string, std::string>> environment(int threads);

// Those that NVIDIA's driver lists in its folder, "NVIDIA H100 80GB HBM3, ..."; empty without one.
std::string gpu_names(const std::string& driver = "/proc/driver/nvidia");

// Appends it to a YAML list in `path`, unless the last entry says the same: a run resumed elsewhere
// has several.
void record_environment(const std::string& path);
// Appends those entries of such a list, `text`, that `path` lacks.
void add_environment(const std::string& path, const std::string& text);

}  // namespace ridgewalk
