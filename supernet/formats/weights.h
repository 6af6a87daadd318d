// Weights in and out of files, and folded for inference.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "space/graph.h"
#include "supernet/formats/provenance.h"
#include "supernet/network/parameters.h"

namespace ridgewalk {

// By timm's state-dict names, running statistics and int64 counters included. `type` is kFloat,
// kHalf or kBFloat16; the counters stay int64.
void save_weights(const std::string& path, const ParameterStore& parameters,
                  torch::ScalarType type = torch::kFloat,
                  const std::optional<Provenance>& provenance = std::nullopt);

// Reads safetensors into `parameters`; `path` may be a folder with a model.safetensors, as timm's
// repositories are. What torch.compile, DataParallel and other wrappers put before every name is
// ignored. A classifier of another number of classes is left as it is when `reset_head` says so.
// Returns what the weights were trained on where the file says it. Throws Error naming the tensor
// that is missing, unknown, of another shape or holds what weights cannot be: NaN, infinity, a
// negative running variance.
std::optional<Provenance> load_weights(const std::string& path, ParameterStore& parameters,
                                       bool reset_head = false);

// The tensors of a file that load_weights() reads, of whatever network, without the names of
// wrappers.
struct NamedWeights {
  std::map<std::string, torch::Tensor> tensors;
  std::optional<Provenance> provenance = {};
};
NamedWeights read_named_weights(const std::string& path);

// The provenance alone, of a file that load_network() reads.
std::optional<Provenance> read_provenance(const std::string& path);

// Of the contents of a file that load_weights() reads.
uint64_t weights_hash(const std::string& path);

// Throws Error naming `path` and the tensor for values that weights cannot have.
void require_possible(const ParameterStore& parameters, const std::string& path);

// A graph and everything it needs to run.
struct Network {
  Graph graph;
  ParameterStore parameters;
  std::optional<Provenance> provenance = {};  // of weights from a file that has one
};

// The same network with norms and layer scales folded into the convolutions; with
// NormMode::kRunning for the remaining norms it gives the same logits.
Network fold_norms(const Graph& graph, const ParameterStore& parameters);

// The network of `graph` freshly initialised and folded, for measuring its latency.
Network fresh_network(const Graph& graph);

// The network of `graph` with the weights of a file: *.onnx as write_onnx() writes it, folded or
// not, else safetensors as load_weights() reads them. Throws Error.
Network load_network(const std::string& path, const Graph& graph, torch::Device device);

}  // namespace ridgewalk
