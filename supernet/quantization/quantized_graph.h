// A folded graph whose values are integers: how each is stored, and by which rule. Data alone; what
// is simulated, run by oneDNN and written to ONNX is this.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "space/graph.h"
#include "space/names.h"

namespace ridgewalk {

enum class IntegerType { kU8, kS8 };
template <>
inline constexpr auto kNames<IntegerType> =
    name_table<IntegerType>("integer type", {{IntegerType::kU8, "u8"}, {IntegerType::kS8, "s8"}});
constexpr int lowest(IntegerType type) { return type == IntegerType::kU8 ? 0 : -128; }
constexpr int highest(IntegerType type) { return lowest(type) + 255; }

// real = scale * (integer - zero_point), integer = saturate(round half to even(real / scale) +
// zero_point).
struct ValueScale {
  IntegerType type = IntegerType::kU8;
  float scale = 1;
  int zero_point = 0;
  std::string rule;  // why: "after ReLU: u8 from 0 to the largest of 500 images"
  bool operator==(const ValueScale&) const = default;
};

// Weights are s8 around 0: real = scales[c] * integer, one scale per output channel (axis 0), or
// one for all.
struct WeightScale {
  std::vector<float> scales;
  std::string rule;
  bool operator==(const WeightScale&) const = default;
};

// `graph` is a result of fold_norms(). An op with a WeightScale and an integer input multiplies
// integers: its int32 sum, bias included (int32 at the scale of the products, input scale * weight
// scale), is exact. What becomes of a sum or of any other result is said by `values`:
//   - with a ValueScale, it is rounded once to that integer, and readers see the integer;
//   - without one, where the op is read by one ReLU or ReLU6 alone: readers see it unrounded (they
//   are one step);
//   - else it is stored as fp32.
// All other ops compute in fp32 on what their inputs stand for: scale * (integer - zero_point).
struct QuantizedGraph {
  Graph graph;
  std::vector<std::optional<ValueScale>> values;    // one per op, of what it gives
  std::vector<std::optional<WeightScale>> weights;  // one per op; none: its weights are fp32
};

}  // namespace ridgewalk
