// The factors and tables by which integers become other integers: the same for all who run them.
#pragma once

#include <array>

#include "supernet/quantization/quantized_graph.h"

namespace ridgewalk {

// An activation or gate of one number.
double elementwise(const Op& op, double x);

// The integer that an activation or gate gives for each integer of its input, from -128 (s8) or 0
// (u8) upwards; computed in fp64.
std::array<int, 256> value_table(const Op& op, const ValueScale& input, const ValueScale& output);

// From an exact sum to an integer.
inline float multiplier(double product_scale, const ValueScale& value) {
  return float(product_scale / double(value.scale));
}

// Of an input of an add: from its integer to the result's, to 16 significant bits. So its products
// with integers are exact in fp32, and their sum is rounded once, whoever adds and in what order.
float sum_factor(const ValueScale& input, const ValueScale& result);

}  // namespace ridgewalk
