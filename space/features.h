// The maps inside a network that detectors and segmenters read.
#pragma once

#include <string>
#include <vector>

#include "space/graph.h"

namespace ridgewalk {

struct FeatureMap {
  std::string name;  // "features_8" at stride 8
  int op = 0;        // that gives it
  int stride = 0;    // pixels of the image per position
  Shape shape = {};
};

// One map per stride from 4 on, in ascending order: the output of the last block before the network
// halves it again, as timm's `features_only` has them. Of a graph in timm's naming, folded or not.
// Throws Error where the network has none.
std::vector<FeatureMap> feature_maps(const Graph& graph);

}  // namespace ridgewalk
