// Runs a graph over parameters: with slices of shared weights or with weights of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <torch/torch.h>

#include "space/graph.h"
#include "supernet/network/parameters.h"

namespace ridgewalk {

// What batch norm normalises with.
enum class NormMode {
  kBatch,     // this batch's statistics, nothing kept: during search, in training and evaluation
              // alike, as TuNAS does
  kTraining,  // this batch's statistics, and running ones are updated
  kRunning,   // running statistics: inference
};

// A graph bound to slices of a store: every parameter is looked up once, here.
class Executor {
 public:
  // Throws std::out_of_range when the store lacks a parameter. Keeps the graph; the store must
  // outlive it.
  Executor(Graph graph, ParameterStore& store);

  // images [N, C, H, W] -> logits [N, classes]. Runs in the images' memory format (channels_last is
  // the fast one). `drop_seed` draws what kTraining drops (Op::drop); 0 drops nothing.
  torch::Tensor forward(const torch::Tensor& images, NormMode mode, uint64_t drop_seed = 0) const;

  // Called with each op's output as a forward pass makes it.
  using Observer = std::function<void(const Op&, const torch::Tensor&)>;
  void observe(Observer observer) { observer_ = std::move(observer); }

  const Graph& graph() const { return graph_; }

 private:
  torch::Tensor run(size_t op, const std::vector<torch::Tensor>& values, NormMode mode,
                    uint64_t drop_seed) const;

  Graph graph_;
  std::vector<std::vector<torch::Tensor>> parameters_;  // one list an op
  std::vector<std::vector<int>> last_used_by_;          // values that no later op reads
  std::vector<bool> only_relu_follows_;                 // of norms: batch_norm() does both
  Observer observer_;
};

}  // namespace ridgewalk
