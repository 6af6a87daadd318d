// A quantised graph and its weights.
#pragma once

#include <map>
#include <optional>
#include <string>

#include <torch/types.h>

#include "supernet/formats/provenance.h"
#include "supernet/quantization/quantized_graph.h"

namespace ridgewalk {

// Tensors by the names that parameters(graph, op) gives. Of an op with a WeightScale: `.weight` s8,
// `.bias` int32 at the scale of the products where its input is an integer; of all others, and of
// what stays fp32, fp32.
struct QuantizedNetwork {
  QuantizedGraph quantized;
  std::map<std::string, torch::Tensor> tensors;
  std::optional<Provenance> provenance = {};
};

// Of weights, biases and scales.
inline int64_t stored_bytes(const QuantizedNetwork& network) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : network.tensors) bytes += int64_t(tensor.nbytes());
  for (const auto& weight : network.quantized.weights) {
    if (weight) bytes += int64_t(weight->scales.size() * sizeof(float));
  }
  return bytes;
}

}  // namespace ridgewalk
