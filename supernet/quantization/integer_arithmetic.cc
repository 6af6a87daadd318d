#include "supernet/quantization/integer_arithmetic.h"

#include <algorithm>
#include <cmath>

namespace ridgewalk {
namespace {

double activated(Activation activation, double x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return std::max(x, 0.0);
    case Activation::kRelu6:
      return std::clamp(x, 0.0, 6.0);
    case Activation::kHardSwish:
      return x * std::clamp(x + 3, 0.0, 6.0) / 6;
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kGelu:
      return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0)));
  }
  return x;
}

}  // namespace

double elementwise(const Op& op, double x) {
  if (op.kind == OpKind::kSigmoid) return 1 / (1 + std::exp(-x));
  if (op.kind == OpKind::kHardSigmoid) return std::clamp(x + 3, 0.0, 6.0) / 6;
  return activated(op.activation, x);
}

std::array<int, 256> value_table(const Op& op, const ValueScale& input, const ValueScale& output) {
  std::array<int, 256> table{};
  for (size_t i = 0; i < table.size(); ++i) {
    const int integer = int(i) + lowest(input.type);
    const double x = double(input.scale) * (integer - input.zero_point);
    const double y = elementwise(op, x) / double(output.scale) + 0.0;
    table[i] = int(std::clamp<double>(std::nearbyint(y) + output.zero_point, lowest(output.type),
                                      highest(output.type)));
  }
  return table;
}

float sum_factor(const ValueScale& input, const ValueScale& result) {
  int exponent = 0;
  const double mantissa = std::frexp(double(input.scale) / double(result.scale), &exponent);
  return float(std::ldexp(std::nearbyint(std::ldexp(mantissa, 16)), exponent - 16));
}

}  // namespace ridgewalk
