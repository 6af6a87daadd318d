// The compact family: small networks of constant width for inputs of 28 x 28 pixels and more.
#pragma once

#include <optional>

#include "space/architecture.h"

namespace ridgewalk {

// The plan of a network: a stride-1 3x3 stem to `base` channels, then, all of width `base`:
//   n1 x [3x3 conv, stride 2, to `expanded`; 1x1 conv]
//   n2 x [ConvNext UIB, 5x5; ExtraDW UIB, 5x5 and 3x3]
//   n3 x [squeeze-and-excitation; ConvNext UIB, 5x5]
//   n4 x [squeeze-and-excitation; Mobile MQA, keys and values of base / heads channels]
// and a head: global average pool, linear to `hidden`, norm, activation, dropout, linear to the
// classes. SiLU and batch norm throughout.
struct CompactPlan {
  int base = 24;
  int expanded = 64;
  std::optional<int> squeezed = {};          // channels inside a gate,
  std::optional<double> squeeze_ratio = {};  // or their ratio to base; 1/4 without either
  int n1 = 2;
  int n2 = 2;
  int n3 = 3;
  int n4 = 1;
  int heads = 4;
  int kv_stride = 1;
  int hidden = 512;
  double dropout = 0.2;
};

// Sets stem, stages, head, activation and dropout, and leaves the rest of `architecture` as it is.
// Throws Error with the argument that is out of range.
void apply(const CompactPlan& plan, Architecture& architecture);

}  // namespace ridgewalk
