// What a network holds in memory while inference runs it, and what it stores.
#pragma once

#include <vector>

#include "roofline/cost.h"

namespace ridgewalk {

// Bytes of activations of `batch` images that lie in memory while each op of the graph runs:
// inputs, outputs and what is kept for later, adds in place, attention of many scores in tiles
// (space/inference_steps.h). Ops that run as one have the same. The largest is what an arena for
// all of them takes; the library's scratchpads come on top. Elements are as wide as the data type;
// logits of floating-point networks and scores of attention in int8 ones are fp32. Where types are
// mixed, all that lies in memory counts in the type of the op that runs.
std::vector<Bytes> activation_memory(const Graph& graph, NetworkTypes types, int batch = 1);
// The largest of them, over the ops [begin, end) of the graph.
Bytes peak_memory(const Graph& graph, NetworkTypes types, int batch = 1);
Bytes peak_memory(const Graph& graph, int begin, int end, NetworkTypes types, int batch = 1);

// What the weights of ops [begin, end) take in flash or in a file: norms folded, weights as wide as
// the data type, biases and what is left of norms 4 bytes (fp32, or int32 beside int8).
Bytes weight_memory(const Graph& graph, NetworkTypes types);
Bytes weight_memory(const Graph& graph, int begin, int end, NetworkTypes types);

}  // namespace ridgewalk
