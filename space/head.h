// What follows the last stage of a network.
#pragma once

#include "space/graph.h"

namespace ridgewalk {

// The first op of it; the number of ops where nothing is known of stages.
inline int head_begin(const Graph& graph) {
  return graph.part_begins.empty() ? int(graph.ops.size()) : graph.part_begins.back();
}

}  // namespace ridgewalk
