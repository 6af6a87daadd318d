// The weights of a network or of a whole search space, and the slices of them that networks read.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <torch/types.h>

#include "space/decisions.h"
#include "space/graph.h"

namespace ridgewalk {

// The initial values of layer scales; everything else is initialised as in timm.
//   kResidual: at the architecture's value where the branch is added to a skip, at 1 elsewhere. A
//     layer scale is meant to start a residual block near the identity (arXiv 2103.17239, section
//     2); without a skip it would start the network near zero.
//   kReleased: at the architecture's value everywhere, as in timm and TF-models. A fresh hybrid is
//     then numerically dead in evaluation mode (experiments/results/hybrid-init.md).
enum class Initialization { kResidual, kReleased };
template <>
inline constexpr auto kNames<Initialization> =
    name_table<Initialization>("initialization", {{Initialization::kResidual, "residual"},
                                                  {Initialization::kReleased, "released"}});

// The parameters of a space in shared naming, each as large as the largest architecture needs it.
std::vector<Parameter> shared_parameters(const SearchSpace& space);

// All parameters lie in one flat tensor (on a GPU with gaps of zeros), all gradients in another:
//
//   values  [ conv and linear weights | norms, biases, layer scales | running statistics ]
//   grads   [ conv and linear weights | norms, biases, layer scales ]
//             0 .. decayed()            .. learned()                  .. values().numel()
//
// so an optimiser step is a few passes over memory, weight decay covers a range, and a checkpoint
// is a few tensors. A network reads prefix slices of it: the first channels of the full shape.
class ParameterStore {
 public:
  // The parameters of one network, in their exact shapes, then `more` that are none of an op.
  explicit ParameterStore(const Graph& graph, torch::Device device = torch::kCPU,
                          const std::vector<Parameter>& more = {});
  // shared_parameters().
  explicit ParameterStore(const SearchSpace& space, torch::Device device = torch::kCPU);

  // Initialises as timm does: convolutions N(0, sqrt(2 / fan_out)), attention Xavier uniform, the
  // classifier uniform within 1 / sqrt(classes), norms 1 and 0. Each tensor has its own random
  // stream, determined by seed and name.
  void initialize(uint64_t seed, Initialization initialization = Initialization::kResidual);

  // The first shape[i] entries of each dimension: a view of values() and a leaf of autograd.
  // Networks that are trained at the same time take their slices from different sets of leaves, so
  // that each has gradients of its own; the slices themselves are made by one thread at a time.
  // Throws std::out_of_range for an unknown name or a larger shape.
  torch::Tensor slice(const std::string& name, const std::vector<int64_t>& shape,
                      size_t leaves = 0);
  // Adds the gradients that backward passes left in these slices to grads(), in their order: with a
  // set of leaves for each sample, and samples in order, the sum does not depend on when each was
  // trained. Where several processes have the store, each adds those of parameters that begin in
  // its `own` part (flat places of values()); all others count as used, and are dropped.
  void collect_gradients(const std::vector<torch::Tensor>& leaves) {
    collect_gradients(leaves, {0, learned_});
  }
  void collect_gradients(const std::vector<torch::Tensor>& leaves, std::pair<int64_t, int64_t> own);
  // Where the decayed() weights are in a slice that the last collect_gradients() found a gradient
  // in: bool [decayed()]. Of a stand-alone network after a backward pass, all but the gaps.
  torch::Tensor used() const;

  // Gives each of these sets of leaves running statistics of its own, for networks that update them
  // at the same time. Before slices are taken from those sets.
  void separate_statistics(size_t first_set, size_t sets);
  // Those of a set, flat: [values().numel() - learned()].
  torch::Tensor statistics(size_t set) const { return statistics_.at(set); }
  // Sets those of all sets to the store's, or the store's to their mean, added in order.
  void begin_statistics();
  void average_statistics();

  torch::Tensor values() const { return values_; }
  torch::Tensor grads();  // allocated by the first call
  int64_t decayed() const { return decayed_; }
  int64_t learned() const { return learned_; }

  // Full tensors in the order of the graph, as views.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  torch::Tensor full(const std::string& name) const;

  // For every name that both have, copies the common prefix of each dimension.
  void copy_common(const ParameterStore& other);

 private:
  void allocate(torch::Device device);
  void note_layer_scales(const Graph& graph);
  void add_gradient(const torch::Tensor& gradient, at::IntArrayRef strides, int64_t offset);

  struct LayerScale {
    double value = 0;
    bool is_residual = false;
  };
  struct Place {
    int64_t offset = 0;
    size_t index = 0;  // in parameters_
    // By set of leaves.
    std::vector<std::vector<std::pair<std::vector<int64_t>, torch::Tensor>>> slices;
  };
  std::vector<Parameter> parameters_;
  std::map<std::string, LayerScale> layer_scales_;
  std::map<std::string, Place> places_;
  std::vector<torch::Tensor> used_;  // slices of weights
  torch::Tensor values_, grads_;
  std::map<size_t, torch::Tensor> statistics_;  // by set of leaves
  int64_t decayed_ = 0, learned_ = 0;
};

// The share of a space's learned parameters that all UIB instantiations have in common: all but the
// depthwise convolutions and their norms (MobileNetV4, section 4: "more than 95 %"), or, where
// blocks have weights of their own, all but the UIBs.
double share_in_common(const SearchSpace& space);

}  // namespace ridgewalk
