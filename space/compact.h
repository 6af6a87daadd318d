// The compact family: small networks of one width for inputs of 28 x 28 pixels and up.
#pragma once

#include <optional>

#include "space/architecture.h"

namespace ridgewalk {

// The plan of a network: stride-1 3x3 stem to `base` channels, then, all of width `base`:
//   n1 x [3x3 conv, stride 2, to `expanded`; 1x1 conv]
//   n2 x [ConvNext UIB, 5x5; ExtraDW UIB, 5x5 and 3x3]
//   n3 x [squeeze-and-excitation; ConvNext UIB, 5x5]
//   n4 x [squeeze-and-excitation; Mobile MQA, keys and values of base / heads channels]
// and a head: global average pool, linear to `hidden`, norm, activation, dropout, linear to the
// classes. SiLU and batch norm throughout.
struct CompactPlan {
  int base = 24;
  int expanded = 64;
  std::optional<int> squeezed = {};          // channels within a gate, or
  std::optional<double> squeeze_ratio = {};  // these over base; a quarter without either
  int n1 = 2;
  int n2 = 2;
  int n3 = 3;
  int n4 = 1;
  int heads = 4;
  int kv_stride = 1;
  int hidden = 512;
  double dropout = 0.2;
};

// Sets stem, stages, head, activation and dropout; the rest of `architecture` stays. Throws Error
// naming the argument that is out of its range.
void apply(const CompactPlan& plan, Architecture& architecture);

}  // namespace ridgewalk
