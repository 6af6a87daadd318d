// The blocks that networks are made of: plain data, no tensors.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "space/names.h"

namespace ridgewalk {

enum class Activation { kNone, kRelu, kRelu6, kHardSwish, kSilu, kGelu };

template <>
inline constexpr auto kNames<Activation> =
    name_table<Activation>("activation", {{Activation::kNone, "none"},
                                          {Activation::kRelu, "relu"},
                                          {Activation::kRelu6, "relu6"},
                                          {Activation::kHardSwish, "hard_swish"},
                                          {Activation::kSilu, "silu"},
                                          {Activation::kGelu, "gelu"}});

// Multiple of `divisor` nearest to `value`, at least `divisor` and never below 90 % of `value`: the
// rounding of channel counts in the MobileNet family (TF-models make_divisible, timm
// round_channels).
int make_divisible(double value, int divisor = 8);

// Of every batch norm, as PyTorch defines them: running = (1 - momentum) running + momentum batch.
struct NormConstants {
  double epsilon = 1e-5;
  double momentum = 0.1;
  bool operator==(const NormConstants&) const = default;
};

// conv kernel x kernel -> norm -> activation.
struct Conv {
  int kernel = 3;
  int stride = 1;
  int width = 0;  // output channels
  Activation activation = Activation::kRelu;
  int groups = 1;  // of the convolution
  bool operator==(const Conv&) const = default;
};

// conv kernel x kernel to `expanded` -> norm -> activation -> 1x1 conv to `width` -> norm.
// The input is added when the stride is 1 and the widths agree.
struct FusedIb {
  int kernel = 3;
  int stride = 1;
  int expanded = 0;
  int width = 0;
  Activation activation = Activation::kRelu;
  int groups = 1;  // of the first convolution
  bool operator==(const FusedIb&) const = default;
};

enum class GateFunction { kHardSigmoid, kSigmoid };

template <>
inline constexpr auto kNames<GateFunction> = name_table<GateFunction>(
    "gate", {{GateFunction::kHardSigmoid, "hard_sigmoid"}, {GateFunction::kSigmoid, "sigmoid"}});

// Channel gate: pool -> 1x1 conv to the squeezed channels -> activation -> 1x1 conv back -> hard
// sigmoid (MobileNetV3, section 5.3) or sigmoid, times the features. A block of its own, or part of
// one of the two below.
struct SqueezeExcite {
  double ratio = 0.25;  // of the squeezed channels to the gated ones
  int divisor = 8;      // to which the squeezed channels are rounded
  Activation activation = Activation::kRelu;
  GateFunction function = GateFunction::kHardSigmoid;
  bool operator==(const SqueezeExcite&) const = default;
};
int squeezed(const SqueezeExcite& gate, int channels);

// dw kernel x kernel -> norm -> act -> [squeeze-excite] -> 1x1 conv to `width` -> norm
// (MobileNetV1). When linear, nothing follows, and the input is added if the stride is 1 and the
// widths agree, as in the first block of MobileNetV2 and V3; otherwise an activation follows and
// nothing is added.
struct DepthwiseSeparable {
  int kernel = 3;
  int stride = 1;
  int width = 0;
  bool linear = true;
  Activation activation = Activation::kRelu;
  std::optional<SqueezeExcite> squeeze_excite = {};
  int groups = 1;  // of the 1x1 convolution
  bool operator==(const DepthwiseSeparable&) const = default;
};

// Inverted bottleneck of MobileNetV2 and V3:
//   1x1 conv to `expanded` -> norm -> act -> dw kernel x kernel -> norm -> act -> [squeeze-excite]
//   -> 1x1 conv to `width` -> norm
// The input is added when the stride is 1 and the widths agree. A UIB without the first depthwise
// convolution computes the same; this block has the gate and the names that timm uses for V2 and
// V3.
struct InvertedResidual {
  int kernel = 3;
  int stride = 1;
  int expanded = 0;
  int width = 0;
  Activation activation = Activation::kRelu;
  std::optional<SqueezeExcite> squeeze_excite = {};
  int groups = 1;  // of both 1x1 convolutions
  bool operator==(const InvertedResidual&) const = default;
};

// Universal inverted bottleneck (MobileNetV4, section 4):
//   [dw kernel1 -> norm] -> 1x1 conv to `expanded` -> norm -> act
//   -> [dw kernel2 -> norm -> act] -> 1x1 conv to `width` -> norm
// A kernel of 0 leaves out that depthwise convolution. The second depthwise convolution takes the
// stride, or the first where there is no second. The input is added when the stride is 1 and the
// widths agree.
struct Uib {
  int kernel1 = 0;
  int kernel2 = 3;
  int expanded = 0;
  int width = 0;
  int stride = 1;
  Activation activation = Activation::kRelu;
  int groups = 1;  // of both 1x1 convolutions
  bool operator==(const Uib&) const = default;
};

// The four instantiations of a UIB: "FFN", "ConvNext", "IB", "ExtraDW".
std::string_view instantiation(const Uib& block);

// Mobile multi-query attention (MobileNetV4, section 5, equation 2): `heads` query heads share one
// key and one value head; with kv_stride 2, a 3x3 depthwise convolution reduces the keys, and
// another one the values. Residual; keeps the width of its input. With as many kv_heads as heads it
// is multi-head attention: each has keys and values of its own (arXiv 1706.03762, section 3.2.2).
struct MobileMqa {
  int heads = 4;
  int key_dim = 64;  // of a head
  int value_dim = 64;
  int kv_stride = 1;
  int kv_heads = 1;  // or as many as heads
  bool operator==(const MobileMqa&) const = default;
};

// Convolutions in groups: of g, each reads a g-th of the input channels and gives a g-th of the
// output's. There must be a whole number of channels for each, so that g divides both.
using Block = std::variant<Conv, FusedIb, Uib, MobileMqa, DepthwiseSeparable, InvertedResidual,
                           SqueezeExcite>;

// Empty when the block can be built; otherwise what is wrong with it: field, value and rule.
std::string violation(const Block& block);
// The same for what depends on the width of its input.
std::string input_violation(const Block& block, int input_width);

// Output channels of a block with `input_width` input channels.
int output_width(const Block& block, int input_width);

}  // namespace ridgewalk
