// From a folded network and the ranges of its values to integers.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "space/names.h"
#include "supernet/formats/weights.h"
#include "supernet/quantization/quantized_network.h"

namespace ridgewalk {

// Of the real values that integers shall stand for; values beyond it saturate.
struct ValueRange {
  double low = 0, high = 0;
  bool operator==(const ValueRange&) const = default;
};
// Throws Error naming the op whose values are NaN or infinite.
void require_finite_range(const Op& op, const ValueRange& range);

// Which values that may be negative are u8 with a zero point; the others are s8 around 0, as are
// all that products of attention read or give.
//   activations: those behind SiLU, hard swish and GELU, which give next to nothing below 0, so
//                that s8 would leave half of its integers unused. It costs an int8 network next to
//                nothing: they are made by tables, and a zero point goes into the bias of what
//                reads them. Not where it would: a dense convolution whose kernel reaches beyond
//                the image reads a copy with a border, and an add runs by itself.
enum class ZeroPoints { kNone, kActivations, kAll };
template <>
inline constexpr auto kNames<ZeroPoints> =
    name_table<ZeroPoints>("use of zero points", {{ZeroPoints::kNone, "none"},
                                                  {ZeroPoints::kActivations, "activations"},
                                                  {ZeroPoints::kAll, "all"}});

struct RewriteOptions {
  bool per_channel = true;  // weights have a scale for each output channel, else one for all
  ZeroPoints zero_points = ZeroPoints::kActivations;
  bool rounds_values = true;  // else weights alone are integers
  // Names of convolutions and linear layers that are kept in fp32: their weights, and the values
  // that only they multiply.
  std::set<std::string> fp32_ops = {};
  std::set<std::string> fp32_values = {};  // names of ops whose results are not rounded, either
  std::string range_rule = "its range";    // how ranges were found: "the largest of 500 images"
};

// How the value of an op is kept, before its range is known. Values that are never negative are u8
// with zero point 0.
struct ValueForm {
  IntegerType type = IntegerType::kU8;
  bool is_negative = false;          // it may be below 0
  std::optional<float> fixed_scale;  // of softmax and gates, whose values lie in [0, 1]
  int same_as = -1;                  // the integers, and so the scale, of this earlier op
  std::string why;                   // "after ReLU"
  // Whether its scale is that of a range.
  bool has_range() const { return !fixed_scale && same_as < 0; }
};
// One per op of a folded graph; nothing for what is not rounded: a sum that a ReLU or ReLU6 alone
// reads, scores of attention, what the network gives. Throws Error for an op in `options` that the
// graph does not have.
std::vector<std::optional<ValueForm>> value_forms(const Graph& folded,
                                                  const RewriteOptions& options = {});

// The op's result is read by one ReLU or ReLU6 alone, so that both are one step.
bool is_step_with_relu(const Graph& graph, const std::vector<int>& uses, int op);
// Convolutions and linear layers, whose weights can be integers.
bool multiplies_weights(OpKind kind);

// Leaves in fp32 all that follows the last stage of a lowered architecture: weights and results.
void keep_head_in_fp32(const Graph& lowered, RewriteOptions& options);

// The scale of a value with this form, without its rule: of s8 the largest magnitude is 127, of u8
// the largest value 255. A range of zeros has the smallest scale that is used.
ValueScale value_scale(const ValueForm& form, const ValueRange& range);
// "after relu: u8 from 0, RANGE_RULE".
std::string value_rule(const ValueForm& form, const std::string& range_rule);

// A bias takes 30 bits at most; the products of 2^15 weights and values take the rest of int32.
inline constexpr int kLargestBias = 1 << 30;

// Scales of weights [out, ...]: the largest magnitude of a channel, or of all, is 127. A scale is
// never so small that `bias` [out], at the scale of the products, leaves 30 bits: in channels whose
// folded weights are almost 0 it would overflow int32 (microsoft/onnxruntime#22020).
// `input_scale` is 0 where the input is no integer.
WeightScale weight_scale(const torch::Tensor& weight, const torch::Tensor& bias, float input_scale,
                         bool per_channel);
// s8 of the shape of `weight`, within [-127, 127].
torch::Tensor quantized_weight(const torch::Tensor& weight, const WeightScale& scale);
// What they stand for, fp64.
torch::Tensor real_weight(const torch::Tensor& integers, const WeightScale& scale);
// int32 at input_scale * scale.
torch::Tensor quantized_bias(const torch::Tensor& bias, float input_scale,
                             const WeightScale& scale);

// `ranges` has one entry per op; only those of values whose form has a range are read. Throws Error
// naming the op whose range or weights are not finite.
QuantizedNetwork quantize(const Network& folded, const std::vector<ValueRange>& ranges,
                          const RewriteOptions& options = {});
// The same with given scales of values, such as learned ones: one per op, where it is rounded.
QuantizedNetwork quantize_at(const Network& folded, std::vector<std::optional<ValueScale>> values,
                             const RewriteOptions& options = {});

}  // namespace ridgewalk
