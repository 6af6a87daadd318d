// Weights in and out of files, and folded for inference.
#pragma once

#include <string>

#include "space/graph.h"
#include "supernet/network/parameters.h"

namespace ridgewalk {

// By timm's state-dict names, running statistics and int64 counters included. `type` is kFloat,
// kHalf or kBFloat16; the counters stay int64.
void save_weights(const std::string& path, const ParameterStore& parameters,
                  torch::ScalarType type = torch::kFloat);

// Reads safetensors into `parameters`. A classifier of another number of classes is left as it is
// when `reset_head` says so. Throws Error naming the tensor that is missing, unknown or of another
// shape.
void load_weights(const std::string& path, ParameterStore& parameters, bool reset_head = false);

// A graph and all it needs to run.
struct Network {
  Graph graph;
  ParameterStore parameters;
};

// The same network with norms and layer scales inside the convolutions; NormMode::kRunning of what
// is left of the norms gives the same logits.
Network fold_norms(const Graph& graph, const ParameterStore& parameters);

// The network of `graph` freshly initialised, folded: as good as any to measure its latency with.
Network fresh_network(const Graph& graph);

// The network of `graph` with the weights of a file: safetensors, or ONNX as write_onnx() writes
// it, folded or not. Throws Error.
Network load_network(const std::string& path, const Graph& graph, torch::Device device);

}  // namespace ridgewalk
