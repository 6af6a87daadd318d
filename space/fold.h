// Rewrites a graph for inference: norms and layer scales are folded into the convolution before
// them.
#pragma once

#include <vector>

#include "space/graph.h"

namespace ridgewalk {

struct FoldedGraph {
  Graph graph;
  // One list per op of `graph`: the ops of the old graph that it stands for, in order.
  std::vector<std::vector<int>> origins;
};

// A norm or layer scale is folded into the convolution before it when nothing else reads that
// convolution's output; the convolution then has a bias. The norm in front of an attention block
// follows no convolution and stays.
FoldedGraph fold_norms(const Graph& graph);

}  // namespace ridgewalk
