// A network with convolutions in groups, in every block that may have them.
#pragma once

#include "space/architecture.h"

namespace ridgewalk {

inline Architecture grouped_network() {
  Architecture a{.name = "grouped", .resolution = 32, .classes = 10};
  a.stem.width = 16;
  a.stages = {
      {InvertedResidual{.stride = 2, .expanded = 32, .width = 24, .groups = 2},
       InvertedResidual{.expanded = 48, .width = 24, .groups = 4}},
      {Conv{.stride = 2, .width = 32, .groups = 8}, Conv{.kernel = 5, .width = 32, .groups = 32}},
      {FusedIb{.expanded = 64, .width = 32, .groups = 4},
       Uib{.kernel1 = 3, .kernel2 = 5, .expanded = 64, .width = 48, .groups = 2},
       DepthwiseSeparable{.width = 64, .groups = 16}}};
  a.head = {.width = 96, .features = 128};
  return a;
}

// The same with dense convolutions.
inline Architecture without_groups(Architecture a) {
  for (auto& stage : a.stages) {
    for (Block& block : stage) {
      std::visit(
          [](auto& b) {
            if constexpr (requires { b.groups; }) b.groups = 1;
          },
          block);
    }
  }
  return a;
}

}  // namespace ridgewalk
