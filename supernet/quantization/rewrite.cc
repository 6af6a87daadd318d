#include "supernet/quantization/rewrite.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "space/error.h"
#include "space/head.h"
#include "space/suggestion.h"

namespace ridgewalk {
namespace {

// A range of zeros, or nearly: its integers are 0 whatever the scale, but biases downstream are
// multiples of it.
constexpr double kSmallestRange = 1e-5;
constexpr double kSmallestWeightScale = 1e-30;  // of channels without weights and bias

bool is_relu(const Op& op) {
  return op.kind == OpKind::kActivation &&
         (op.activation == Activation::kRelu || op.activation == Activation::kRelu6);
}

// Inputs that are no features: integers are multiplied with integers.
bool multiplies_integers(const Graph& graph, int op, const RewriteOptions& options) {
  const Op& reader = graph.ops[size_t(op)];
  return reader.kind == OpKind::kAttentionScores || reader.kind == OpKind::kAttentionMix ||
         (multiplies_weights(reader.kind) && options.fp32_ops.count(reader.name) == 0);
}

std::vector<std::vector<int>> readers_of(const Graph& graph) {
  std::vector<std::vector<int>> readers(graph.ops.size());
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    for (int input : graph.ops[i].inputs) readers[size_t(input)].push_back(int(i));
  }
  return readers;
}

// Only ops kept in fp32 multiply it.
bool is_kept_for_fp32(const Graph& graph, const std::vector<int>& readers,
                      const RewriteOptions& options) {
  bool is_multiplied = false;
  for (int reader : readers) {
    if (multiplies_integers(graph, reader, options)) return false;
    is_multiplied |= multiplies_weights(graph.ops[size_t(reader)].kind);
  }
  return is_multiplied;
}

bool is_output(const Graph& graph, int op) {
  if (graph.outputs.empty()) return op + 1 == int(graph.ops.size());
  return std::any_of(graph.outputs.begin(), graph.outputs.end(),
                     [&](const Output& output) { return output.op == op; });
}

bool any_negative(const Op& op, const std::vector<bool>& is_negative) {
  switch (op.kind) {
    case OpKind::kSoftmax:
    case OpKind::kSigmoid:
    case OpKind::kHardSigmoid:
      return false;
    case OpKind::kActivation:
      return !is_relu(op);
    case OpKind::kPool:
    case OpKind::kUpsample:
    case OpKind::kAdd:
    case OpKind::kMean:
    case OpKind::kMultiply:
      return std::any_of(op.inputs.begin(), op.inputs.end(),
                         [&](int input) { return is_negative[size_t(input)]; });
    default:
      return true;
  }
}

std::string why(const Op& op) {
  if (op.kind != OpKind::kActivation) return std::string(to_string(op.kind));
  return "after " + std::string(to_string(op.activation));
}

void require_known(const Graph& graph, const RewriteOptions& options) {
  std::vector<std::string> known;
  for (const Op& op : graph.ops) {
    if (multiplies_weights(op.kind)) known.push_back(op.name);
  }
  for (const std::string& name : options.fp32_ops) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw Error("'" + name + "' is no convolution or linear layer of " + graph.name + "; " +
                suggestion(name, known));
  }
}

torch::Tensor channel_view(const std::vector<float>& scales, const torch::Tensor& like) {
  std::vector<int64_t> shape(size_t(like.dim()), 1);
  shape[0] = int64_t(scales.size());
  return torch::tensor(scales).to(torch::kDouble).view(shape);
}

// The weights of an op, as integers where `quantized` says so.
void add_tensors(const Network& folded, int index, const RewriteOptions& options,
                 QuantizedNetwork& result) {
  QuantizedGraph& quantized = result.quantized;
  const Op& op = folded.graph.ops[size_t(index)];
  std::map<std::string, torch::Tensor> own;  // by suffix
  const std::string& prefix = parameter_prefix(op);
  for (const Parameter& parameter : parameters(folded.graph, index)) {
    const torch::Tensor value = folded.parameters.full(parameter.name).cpu().clone();
    if (!value.isfinite().all().item<bool>()) {
      throw Error("'" + parameter.name + "', norms folded in, holds NaN or infinity");
    }
    own[parameter.name.substr(prefix.size())] = value;
  }
  if (multiplies_weights(op.kind) && options.fp32_ops.count(op.name) == 0) {
    const auto& input = quantized.values[size_t(op.inputs[0])];
    const float input_scale = input ? input->scale : 0;
    torch::Tensor& weight = own.at(".weight");
    const auto bias = own.find(".bias");
    const WeightScale scale =
        weight_scale(weight, bias == own.end() ? torch::Tensor() : bias->second, input_scale,
                     options.per_channel);
    weight = quantized_weight(weight, scale);
    if (input && bias != own.end()) {
      bias->second = quantized_bias(bias->second, input_scale, scale);
    }
    quantized.weights[size_t(index)] = scale;
  }
  for (auto& [suffix, tensor] : own) result.tensors[op.name + suffix] = tensor;
}

}  // namespace

void require_finite_range(const Op& op, const ValueRange& range) {
  if (std::isfinite(range.low) && std::isfinite(range.high)) return;
  throw Error("the values of '" + op.name +
              "' are NaN or infinite, so that they have no range; the weights are damaged");
}

bool multiplies_weights(OpKind kind) {
  return kind == OpKind::kConv || kind == OpKind::kDepthwise || kind == OpKind::kLinear;
}

namespace {

// Whether a reader of a value is one of these ops, or reads it enlarged.
bool is_read_by(const Graph& graph, const std::vector<std::vector<int>>& readers, int op,
                const std::function<bool(const Op&)>& is_meant) {
  return std::any_of(readers[size_t(op)].begin(), readers[size_t(op)].end(), [&](int index) {
    const Op& reader = graph.ops[size_t(index)];
    return is_meant(reader) ||
           (reader.kind == OpKind::kUpsample && is_read_by(graph, readers, index, is_meant));
  });
}

bool has_zero_point(const Graph& graph, const std::vector<std::vector<int>>& readers, int op,
                    ZeroPoints zero_points) {
  const OpKind kind = graph.ops[size_t(op)].kind;
  const auto is_attention = [](const Op& reader) {
    return reader.kind == OpKind::kAttentionScores || reader.kind == OpKind::kAttentionMix;
  };
  const auto would_cost = [](const Op& reader) {
    return reader.kind == OpKind::kAdd || (reader.kind == OpKind::kConv && reader.kernel > 1);
  };
  if (zero_points == ZeroPoints::kNone || is_attention(graph.ops[size_t(op)]) ||
      is_read_by(graph, readers, op, is_attention)) {
    return false;
  }
  return zero_points == ZeroPoints::kAll ||
         (kind == OpKind::kActivation && !is_read_by(graph, readers, op, would_cost));
}

}  // namespace

void keep_head_in_fp32(const Graph& lowered, RewriteOptions& options) {
  for (size_t i = size_t(head_begin(lowered)); i < lowered.ops.size(); ++i) {
    const Op& op = lowered.ops[i];
    if (multiplies_weights(op.kind)) options.fp32_ops.insert(op.name);
    options.fp32_values.insert(op.name);
  }
}

bool is_step_with_relu(const Graph& graph, const std::vector<int>& uses, int op) {
  if (!multiplies_weights(graph.ops[size_t(op)].kind) || uses[size_t(op)] != 1) return false;
  return std::any_of(graph.ops.begin() + op, graph.ops.end(),
                     [&](const Op& reader) { return is_relu(reader) && reader.inputs[0] == op; });
}

std::vector<std::optional<ValueForm>> value_forms(const Graph& folded,
                                                  const RewriteOptions& options) {
  require_known(folded, options);
  const size_t count = folded.ops.size();
  std::vector<std::optional<ValueForm>> forms(count);
  if (!options.rounds_values) return forms;
  const std::vector<int> uses = use_counts(folded);
  const std::vector<std::vector<int>> readers = readers_of(folded);
  std::vector<bool> is_negative(count);
  for (size_t i = 0; i < count; ++i) {
    const Op& op = folded.ops[i];
    is_negative[i] = any_negative(op, is_negative);
    if (op.kind == OpKind::kAttentionScores || is_step_with_relu(folded, uses, int(i)) ||
        is_kept_for_fp32(folded, readers[i], options) || options.fp32_values.contains(op.name) ||
        (is_output(folded, int(i)) && readers[i].empty())) {
      continue;
    }
    const bool is_signed =
        is_negative[i] && !has_zero_point(folded, readers, int(i), options.zero_points);
    ValueForm form{.type = is_signed ? IntegerType::kS8 : IntegerType::kU8,
                   .is_negative = is_negative[i],
                   .fixed_scale = {},
                   .why = why(op)};
    if (op.kind == OpKind::kSoftmax || op.kind == OpKind::kSigmoid ||
        op.kind == OpKind::kHardSigmoid) {
      form.fixed_scale = 1.0f / 255;
    } else if (op.kind == OpKind::kUpsample && forms[size_t(op.inputs[0])]) {
      form.same_as = op.inputs[0];
    }
    forms[i] = form;
  }
  return forms;
}

ValueScale value_scale(const ValueForm& form, const ValueRange& range) {
  if (form.fixed_scale) return {.type = form.type, .scale = *form.fixed_scale, .rule = {}};
  const double high = std::max(range.high, 0.0),
               low = form.is_negative ? std::min(range.low, 0.0) : 0;
  if (form.type == IntegerType::kS8) {
    return {.type = form.type,
            .scale = float(std::max({high, -low, kSmallestRange}) / 127),
            .rule = {}};
  }
  const double scale = std::max(high - low, kSmallestRange) / 255;
  return {.type = form.type,
          .scale = float(scale),
          .zero_point = int(std::nearbyint(-low / scale)),
          .rule = {}};
}

std::string value_rule(const ValueForm& form, const std::string& range_rule) {
  if (form.same_as >= 0) return form.why + ": the integers of its input";
  if (form.fixed_scale) return form.why + ": u8 from 0 to 1";
  const char* integers = form.type == IntegerType::kS8 ? ": s8 around 0, "
                         : form.is_negative            ? ": u8 with a zero point, "
                                                       : ": u8 from 0, ";
  return form.why + integers + range_rule;
}

WeightScale weight_scale(const torch::Tensor& weight, const torch::Tensor& bias, float input_scale,
                         bool per_channel) {
  const torch::Tensor largest = weight.abs().flatten(1).amax(1).to(torch::kDouble).contiguous();
  const torch::Tensor largest_bias =
      bias.defined() ? bias.abs().to(torch::kDouble).contiguous() : torch::zeros_like(largest);
  WeightScale result;
  int floored = 0;
  for (int64_t c = 0; c < largest.size(0); ++c) {
    const double own = largest.data_ptr<double>()[c] / 127;
    const double bias_floor =
        input_scale > 0 ? largest_bias.data_ptr<double>()[c] / (double(input_scale) * kLargestBias)
                        : 0;
    floored += bias_floor > own;
    result.scales.push_back(float(std::max({own, bias_floor, kSmallestWeightScale})));
  }
  result.rule = "s8, largest magnitude of each output channel";
  if (!per_channel) {
    result.scales = {*std::max_element(result.scales.begin(), result.scales.end())};
    result.rule = "s8, largest magnitude of all";
  } else if (floored > 0) {
    result.rule += "; in " + std::to_string(floored) + " what lets the bias fit int32";
  }
  return result;
}

torch::Tensor quantized_weight(const torch::Tensor& weight, const WeightScale& scale) {
  return torch::round(weight.to(torch::kDouble) / channel_view(scale.scales, weight))
      .clamp(-127, 127)
      .to(torch::kChar)
      .contiguous();
}

torch::Tensor real_weight(const torch::Tensor& integers, const WeightScale& scale) {
  return integers.to(torch::kDouble) * channel_view(scale.scales, integers);
}

torch::Tensor quantized_bias(const torch::Tensor& bias, float input_scale,
                             const WeightScale& scale) {
  return torch::round(bias.to(torch::kDouble) /
                      (channel_view(scale.scales, bias) * double(input_scale)))
      .to(torch::kInt);
}

QuantizedNetwork quantize(const Network& folded, const std::vector<ValueRange>& ranges,
                          const RewriteOptions& options) {
  const auto forms = value_forms(folded.graph, options);
  std::vector<std::optional<ValueScale>> values(forms.size());
  for (size_t i = 0; i < forms.size(); ++i) {
    if (!forms[i]) continue;
    const ValueForm& form = *forms[i];
    if (form.has_range()) require_finite_range(folded.graph.ops[i], ranges.at(i));
    values[i] = form.same_as >= 0 ? values[size_t(form.same_as)] : value_scale(form, ranges.at(i));
    values[i]->rule = value_rule(form, options.range_rule);
  }
  return quantize_at(folded, std::move(values), options);
}

QuantizedNetwork quantize_at(const Network& folded, std::vector<std::optional<ValueScale>> values,
                             const RewriteOptions& options) {
  at::NoGradGuard no_grad;
  QuantizedNetwork result{
      .quantized = {.graph = folded.graph, .values = std::move(values), .weights = {}},
      .tensors = {},
      .provenance = folded.provenance};
  result.quantized.weights.resize(folded.graph.ops.size());
  for (size_t i = 0; i < folded.graph.ops.size(); ++i) {
    add_tensors(folded, int(i), options, result);
    // Biases that several ops shared differ with the scales of their inputs.
    result.quantized.graph.ops[i].shared_name.clear();
  }
  return result;
}

}  // namespace ridgewalk
