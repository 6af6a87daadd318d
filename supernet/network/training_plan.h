// How a training step computes the ops of a graph on a CPU.
#pragma once

#include <cstdint>
#include <vector>

#include "space/graph.h"
#include "supernet/network/placement.h"

namespace ridgewalk {

// What computes an op.
enum class Engine {
  kOwn,       // a pass over rows
  kReader,    // nobody: a norm, or a ReLU after one, is applied by those who read its input
  kLibTorch,  // run_op(), under autograd
};

// A norm that is read through, of the op that writes its input.
struct ReadNorm {
  int op = -1;  // the norm; -1 if there is none
  bool relu = false;
};

// Time runs from 0 to 2 * ops: op i is computed at i, and its gradient at 2 * ops - i.
struct TrainingPlan {
  std::vector<Engine> engines;             // by op
  std::vector<int> source;                 // by op: the op whose values its readers read
  std::vector<std::vector<int>> readers;   // by source: the ops that read it, in order
  std::vector<ReadNorm> norms;             // by source
  std::vector<bool> needs_gradient;        // by source: whether parameters stand before its values
  std::vector<Tenancy> values, gradients;  // by source; empty where LibTorch holds them
};

// `drops` says whether ops with a drop rate drop (run_op() does that). For `batch` images and
// numbers of `bytes` bytes; without `trains` there are no gradients.
TrainingPlan plan_training(const Graph& graph, bool drops, bool trains, int64_t batch,
                           size_t bytes);

// What LibTorch keeps until the backward pass, of one image: the outputs of its ops, and the inputs
// that are copied for it.
double detour_elements(const Graph& graph, const TrainingPlan& plan);

}  // namespace ridgewalk
