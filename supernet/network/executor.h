// Runs a graph with slices of shared weights or with weights of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <torch/types.h>

#include "space/graph.h"
#include "supernet/network/operation.h"
#include "supernet/network/parameters.h"

namespace ridgewalk {

// What weights and values are rounded to as a network runs, under autograd: where quantisation is
// simulated. Several threads may ask at once, about passes of executors of their own.
class Rounding {
 public:
  virtual ~Rounding() = default;
  // In the place of the parameters of ops[op], the convolutions', linear layers' and others'.
  virtual std::vector<torch::Tensor> parameters(size_t op,
                                                const std::vector<torch::Tensor>& own) const = 0;
  // In the place of the input number `place` of ops[op].
  virtual torch::Tensor input(size_t /*op*/, size_t /*place*/, const torch::Tensor& value) const {
    return value;
  }
  // In the place of what ops[op] gives.
  virtual torch::Tensor value(size_t op, const torch::Tensor& value) const = 0;
  // What gradients are left in beside the network's own parameters, each once.
  virtual std::vector<torch::Tensor> learned() const { return {}; }
};

// A graph bound to slices of a store, so that every parameter is looked up only once.
class Executor {
 public:
  // Reads slices of the given set of the store's leaves. Throws std::out_of_range when the store
  // lacks a parameter. Keeps the graph; the store must outlive it.
  Executor(Graph graph, ParameterStore& store, size_t leaves = 0);

  // images [N, C, H, W] -> logits [N, classes]. Runs in the images' memory format (channels_last is
  // the fast one). `drop_seed` seeds what kTraining drops (Op::drop); 0 drops nothing. Several
  // threads may call it at once, except with kTraining, which writes running statistics.
  torch::Tensor forward(const torch::Tensor& images, NormMode mode, uint64_t drop_seed = 0) const;
  // What the graph says are its outputs, [N, C, H, W] each; of a classifier the logits.
  std::vector<torch::Tensor> outputs(const torch::Tensor& images, NormMode mode) const;

  // `observer` is called with every op's output during a forward pass.
  using Observer = std::function<void(const Op&, const torch::Tensor&)>;
  void observe(Observer observer) { observer_ = std::move(observer); }
  // From now on. Observers see what it gives.
  void round(std::shared_ptr<const Rounding> rounding) { rounding_ = std::move(rounding); }

  const Graph& graph() const { return *graph_; }
  // The slices that gradients are left in, each once, in the order of the graph; then what the
  // rounding has learned.
  std::vector<torch::Tensor> learned() const;

 private:
  // The values of all ops; undefined where nothing reads them any more.
  std::vector<torch::Tensor> run_all(const torch::Tensor& images, NormMode mode,
                                     uint64_t drop_seed) const;
  torch::Tensor run(size_t op, const std::vector<torch::Tensor>& values, NormMode mode,
                    uint64_t drop_seed) const;

  std::shared_ptr<const Graph> graph_;  // outlives this for the sake of backward passes
  std::vector<std::vector<torch::Tensor>> parameters_;  // one list per op
  std::vector<std::vector<int>> last_used_by_;          // by op: the values that no later op reads
  std::vector<int> attention_;  // by op: the scores of the attention that it is part of, or -1
  Observer observer_;
  std::shared_ptr<const Rounding> rounding_;
};

// Those of several networks, one after the other.
std::vector<torch::Tensor> learned(const std::vector<Executor>& networks);

}  // namespace ridgewalk
