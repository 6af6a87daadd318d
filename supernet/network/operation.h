// One op of a graph by LibTorch, on any device and under autograd.
#pragma once

#include <cstdint>
#include <vector>

#include <torch/types.h>

#include "space/graph.h"

namespace ridgewalk {

// What batch norm normalises with.
enum class NormMode {
  kBatch,     // this batch's statistics, nothing kept: during a search, both in training and in
              // evaluation, as in TuNAS
  kTraining,  // this batch's statistics, updating the running ones
  kRunning,   // running statistics: inference
};

struct OpMode {
  NormConstants constants = {};
  NormMode norm = NormMode::kRunning;
  uint64_t drop_seed = 0;  // of this op; 0 drops nothing
};

// Inputs are [N, C, H, W], or [N, rows, columns] for maps of attention. `parameters` are those of
// the op.
torch::Tensor run_op(const Op& op, const std::vector<torch::Tensor>& parameters,
                     const std::vector<torch::Tensor>& inputs, const OpMode& mode);

}  // namespace ridgewalk
