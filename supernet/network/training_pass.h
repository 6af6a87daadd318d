// A training step of a network on a CPU by kernels of our own.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <torch/types.h>

#include "space/graph.h"

namespace ridgewalk {

// Whether run_training_pass() can run a graph on these images with these parameters (by op): all
// are fp32 on the CPU, the images are as large as the graph's input and need no gradient, and no
// attention has so many scores that they are computed in tiles.
bool can_train(const Graph& graph, const std::vector<std::vector<torch::Tensor>>& parameters,
               const torch::Tensor& images);

struct TrainingPassOptions {
  bool keeps_statistics = false;  // updates the norms' running statistics
  uint64_t drop_seed = 0;         // as in Executor::forward()
};

// As Executor::forward() with this batch's statistics: images to logits, of which autograd gets the
// gradients of all learned parameters from one node. Where autocast to bf16 is on, values and
// gradients between ops are bf16. See supernet/README.md for how.
torch::Tensor run_training_pass(const std::shared_ptr<const Graph>& graph,
                                const std::vector<std::vector<torch::Tensor>>& parameters,
                                const torch::Tensor& images, const TrainingPassOptions& options);

}  // namespace ridgewalk
