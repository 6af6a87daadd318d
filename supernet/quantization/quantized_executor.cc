#include "supernet/quantization/quantized_executor.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "supernet/network/attention.h"
#include "supernet/network/operation.h"
#include "supernet/quantization/plain_convolution.h"
#include "supernet/quantization/rewrite.h"

namespace ridgewalk {
namespace {

constexpr double kExactInFp32 = double(1 << 24);

// The largest magnitude of integer - zero_point.
double largest_magnitude(const ValueScale& scale) {
  return std::max(highest(scale.type) - scale.zero_point, scale.zero_point - lowest(scale.type));
}

bool is_elementwise(OpKind kind) {
  return kind == OpKind::kActivation || kind == OpKind::kSigmoid || kind == OpKind::kHardSigmoid;
}

torch::Tensor fp32_factors(const std::vector<double>& factors, int64_t dimensions) {
  std::vector<float> fp32(factors.begin(), factors.end());
  std::vector<int64_t> shape(size_t(dimensions), 1);
  if (fp32.size() > 1) shape[1] = int64_t(fp32.size());
  return torch::tensor(fp32).view(shape);
}

// Of whole numbers without a zero point.
torch::Tensor saturated(const torch::Tensor& centred, const ValueScale& scale) {
  return (centred + scale.zero_point).clamp_(lowest(scale.type), highest(scale.type));
}

}  // namespace

QuantizedExecutor::QuantizedExecutor(QuantizedNetwork network, Products products,
                                     FloatInputs float_inputs)
    : network_(std::move(network)), products_(products), float_inputs_(float_inputs) {
  const Graph& graph = network_.quantized.graph;
  const size_t count = graph.ops.size();
  const std::vector<int> uses = use_counts(graph);
  last_use_.assign(count, int(count));
  tables_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const Op& op = graph.ops[i];
    is_step_with_relu_.push_back(!network_.quantized.values[i] &&
                                 is_step_with_relu(graph, uses, int(i)));
    weights_.push_back(weights_of(int(i)));
    for (int input : op.inputs) last_use_[size_t(input)] = int(i);
    if (!is_elementwise(op.kind)) continue;
    const auto& input = network_.quantized.values[size_t(op.inputs[0])];
    const auto& own = network_.quantized.values[i];
    if (!input || !own) continue;
    const std::array<int, 256> table = value_table(op, *input, *own);
    tables_[i] = torch::tensor(std::vector<float>(table.begin(), table.end()));
  }
  for (const Output& output : graph.outputs) last_use_[size_t(output.op)] = int(count);
}

QuantizedExecutor::Weights QuantizedExecutor::weights_of(int index) const {
  const Graph& graph = network_.quantized.graph;
  const Op& op = graph.ops[size_t(index)];
  Weights weights;
  for (const Parameter& parameter : parameters(graph, index)) {
    weights.real.push_back(network_.tensors.at(parameter.name));
  }
  const auto& scale = network_.quantized.weights[size_t(index)];
  if (!scale) return weights;
  const torch::Tensor integers = weights.real[0];
  weights.product_scales.assign(scale->scales.begin(), scale->scales.end());
  weights.product_scales.resize(size_t(integers.size(0)), double(scale->scales[0]));
  weights.integers = op.kind == OpKind::kLinear ? integers.unsqueeze(2).unsqueeze(3) : integers;
  const auto& input = network_.quantized.values[size_t(op.inputs[0])];
  if (!input) {
    weights.real[0] = real_weight(integers, *scale).to(torch::kFloat);
    weights.integers = weights.integers.to(torch::kFloat);
    return weights;
  }
  for (double& product_scale : weights.product_scales) product_scale *= double(input->scale);
  weights.bias = weights.real.size() > 1 ? weights.real[1] : torch::Tensor();
  weights.real.clear();
  if (products_ == Products::kPlain) {
    weights.integers = weights.integers.contiguous();
    return weights;
  }
  const auto sums =
      weights.integers.to(torch::kDouble).abs().flatten(1).sum(1) * largest_magnitude(*input);
  const bool is_exact = sums.max().item<double>() < kExactInFp32;
  weights.integers = weights.integers.to(is_exact ? torch::kFloat : torch::kDouble);
  if (weights.bias.defined()) {
    const auto with_bias = sums + weights.bias.to(torch::kDouble).abs();
    weights.bias = weights.bias.to(with_bias.max().item<double>() < kExactInFp32 ? torch::kFloat
                                                                                 : torch::kDouble);
  }
  return weights;
}

void QuantizedExecutor::set_tensor(int op, const std::string& suffix, const torch::Tensor& tensor) {
  network_.tensors.at(network_.quantized.graph.ops[size_t(op)].name + suffix) = tensor;
  weights_[size_t(op)] = weights_of(op);
}

torch::Tensor QuantizedExecutor::forward(const torch::Tensor& images) const {
  at::NoGradGuard no_grad;
  return real(run_all(images, {}), int(network_.quantized.graph.ops.size()) - 1);
}

void QuantizedExecutor::run_each(const torch::Tensor& images, const Visit& visit) const {
  at::NoGradGuard no_grad;
  run_all(images, [&](int op, const Value& value) { return visit(op, real(value, op)); });
}

std::vector<torch::Tensor> QuantizedExecutor::values(const torch::Tensor& images) const {
  at::NoGradGuard no_grad;
  std::vector<torch::Tensor> values;
  run_all(images, [&](int op, const Value& value) {
    values.push_back(stored(value, op));
    return false;
  });
  return values;
}

QuantizedExecutor::Value QuantizedExecutor::run_all(const torch::Tensor& images,
                                                    const VisitValue& visit) const {
  const std::vector<Op>& ops = network_.quantized.graph.ops;
  std::vector<Value> values(ops.size());
  for (size_t i = 0; i < ops.size(); ++i) {
    std::vector<Value> inputs;
    for (int input : ops[i].inputs) inputs.push_back(values[size_t(input)]);
    if (i == 0) inputs.push_back({.numbers = images});
    values[i] = run(int(i), inputs);
    if (visit && visit(int(i), values[i])) values[i] = run(int(i), inputs);
    for (int input : ops[i].inputs) {
      if (last_use_[size_t(input)] == int(i)) values[size_t(input)] = {};
    }
  }
  return values.back();
}

torch::Tensor QuantizedExecutor::value(int index, const std::vector<torch::Tensor>& inputs) const {
  at::NoGradGuard no_grad;
  const std::vector<Op>& ops = network_.quantized.graph.ops;
  const Op& op = ops[size_t(index)];
  if (!op.inputs.empty() && is_step_with_relu_[size_t(op.inputs[0])]) {
    const int before = op.inputs[0];
    const Value sum = run(before, {from_stored(inputs.at(0), ops[size_t(before)].inputs[0])});
    return stored(run(index, {sum}), index);
  }
  std::vector<Value> given;
  for (size_t i = 0; i < inputs.size(); ++i) {
    given.push_back(index == 0 ? Value{.numbers = inputs[i]}
                               : from_stored(inputs[i], op.inputs.at(i)));
  }
  return stored(run(index, given), index);
}

QuantizedExecutor::Value QuantizedExecutor::run(int index, const std::vector<Value>& inputs) const {
  Value value = computed(index, inputs);
  const auto& scale = network_.quantized.values[size_t(index)];
  if (value.kind == Value::Kind::kInteger) return value;
  if (scale) return {Value::Kind::kInteger, rounded(value, *scale)};
  const bool is_step = is_step_with_relu_[size_t(index)] && value.kind == Value::Kind::kSum;
  return is_step ? value : Value{Value::Kind::kReal, real(value, index)};
}

std::optional<QuantizedExecutor::Value> QuantizedExecutor::of_integers(
    int index, const std::vector<Value>& inputs) const {
  const QuantizedGraph& quantized = network_.quantized;
  const Op& op = quantized.graph.ops[size_t(index)];
  const Value& x = inputs[0];
  const auto& own = quantized.values[size_t(index)];
  const auto scale_of = [&](size_t input) {
    return double(quantized.values[size_t(op.inputs[input])]->scale);
  };
  if (weights_[size_t(index)].integers.defined()) return product(index, x);
  if (tables_[size_t(index)].defined()) {
    const auto places =
        (x.numbers - lowest(quantized.values[size_t(op.inputs[0])]->type)).to(torch::kInt);
    return Value{Value::Kind::kInteger,
                 tables_[size_t(index)].index_select(0, places.flatten()).view(x.numbers.sizes())};
  }
  switch (op.kind) {
    case OpKind::kPool: {
      const auto sum = centred(x, op.inputs[0]).sum({2, 3}, true, torch::kDouble);
      const double pixels = double(x.numbers.size(2) * x.numbers.size(3));
      return Value{Value::Kind::kSum, sum.to(torch::kFloat), {scale_of(0) / pixels}};
    }
    case OpKind::kAdd: {
      if (!own) return {};
      torch::Tensor sum = torch::zeros_like(x.numbers);
      for (size_t i = 0; i < inputs.size(); ++i) {
        sum += centred(inputs[i], op.inputs[i]) *
               sum_factor(*quantized.values[size_t(op.inputs[i])], *own);
      }
      return Value{Value::Kind::kInteger, saturated(sum.round_(), *own)};
    }
    case OpKind::kMultiply:
      return Value{Value::Kind::kSum,
                   centred(x, op.inputs[0]) * centred(inputs[1], op.inputs[1]),
                   {scale_of(0) * scale_of(1)}};
    case OpKind::kAttentionScores:
    case OpKind::kAttentionMix:
      return attention_product(index, inputs);
    default:
      return {};
  }
}

QuantizedExecutor::Value QuantizedExecutor::computed(int index,
                                                     const std::vector<Value>& inputs) const {
  const QuantizedGraph& quantized = network_.quantized;
  const Op& op = quantized.graph.ops[size_t(index)];
  if (op.kind == OpKind::kInput) return inputs[0];
  const Value& x = inputs[0];
  if (x.kind == Value::Kind::kSum) {  // this is its ReLU
    Value sum = x;
    sum.numbers = torch::relu(sum.numbers);
    sum.is_at_most_6 = op.activation == Activation::kRelu6;
    return sum;
  }
  const bool all_integers = std::all_of(inputs.begin(), inputs.end(), [](const Value& input) {
    return input.kind == Value::Kind::kInteger;
  });
  if (all_integers) {
    if (std::optional<Value> value = of_integers(index, inputs)) return *std::move(value);
  } else if (weights_[size_t(index)].integers.defined() &&
             float_inputs_ == FloatInputs::kRoundedByBatch) {
    return product_by_batch(index, x.numbers);
  }
  std::vector<torch::Tensor> reals;
  for (size_t i = 0; i < inputs.size(); ++i) reals.push_back(real(inputs[i], op.inputs[i]));
  return {Value::Kind::kReal,
          run_op(op, weights_[size_t(index)].real, reals,
                 {.constants = quantized.graph.norm, .norm = NormMode::kRunning})};
}

QuantizedExecutor::Value QuantizedExecutor::product(int index, const Value& input) const {
  const Op& op = network_.quantized.graph.ops[size_t(index)];
  const Weights& weights = weights_[size_t(index)];
  const Window window = window_of(op);
  torch::Tensor x = centred(input, op.inputs[0]);
  if (op.kind == OpKind::kLinear) x = x.flatten(1).unsqueeze(2).unsqueeze(3);
  torch::Tensor sums;
  if (products_ == Products::kPlain) {
    sums = plain_convolution(x.to(torch::kInt).contiguous(), weights.integers, weights.bias, window,
                             op.output);
  } else {
    sums = torch::conv2d(x.to(weights.integers.scalar_type()), weights.integers, {}, window.stride,
                         window.padding, 1, window.groups);
    if (weights.bias.defined()) sums = sums + weights.bias.view({1, -1, 1, 1});
  }
  sums = sums.to(torch::kFloat);
  if (op.kind == OpKind::kLinear) sums = sums.flatten(1);
  return {Value::Kind::kSum, sums, weights.product_scales};
}

QuantizedExecutor::Value QuantizedExecutor::product_by_batch(int index,
                                                             const torch::Tensor& x) const {
  const Op& op = network_.quantized.graph.ops[size_t(index)];
  const Weights& weights = weights_[size_t(index)];
  const auto [low, high] = x.aminmax();
  const bool is_negative = low.item<float>() < 0;
  const ValueScale scale = value_scale({.type = is_negative ? IntegerType::kS8 : IntegerType::kU8,
                                        .is_negative = is_negative,
                                        .fixed_scale = {},
                                        .why = {}},
                                       {low.item<double>(), high.item<double>()});
  torch::Tensor integers = rounded({Value::Kind::kReal, x}, scale);
  if (op.kind == OpKind::kLinear) integers = integers.flatten(1).unsqueeze(2).unsqueeze(3);
  const Window window = window_of(op);
  std::vector<double> factors = weights.product_scales;
  for (double& factor : factors) factor *= double(scale.scale);
  torch::Tensor result = torch::conv2d(integers, weights.integers, {}, window.stride,
                                       window.padding, 1, window.groups) *
                         fp32_factors(factors, 4);
  if (weights.real.size() > 1) result = result + weights.real[1].view({1, -1, 1, 1});
  return {Value::Kind::kReal, op.kind == OpKind::kLinear ? result.flatten(1) : result};
}

QuantizedExecutor::Value QuantizedExecutor::attention_product(
    int index, const std::vector<Value>& inputs) const {
  const QuantizedGraph& quantized = network_.quantized;
  const Op& op = quantized.graph.ops[size_t(index)];
  const ValueScale& left = *quantized.values[size_t(op.inputs[0])];
  const ValueScale& right = *quantized.values[size_t(op.inputs[1])];
  torch::Tensor a = centred(inputs[0], op.inputs[0]);
  torch::Tensor b = centred(inputs[1], op.inputs[1]);
  b = rows_of_heads(b, op.kv_heads, b.size(1) / op.kv_heads);  // [N k, keys, d]
  double product_scale = double(left.scale) * double(right.scale);
  if (op.kind == OpKind::kAttentionScores) {
    a = rows_of_heads(a, op.kv_heads, b.size(2));
    product_scale /= std::sqrt(double(b.size(2)));
    b = b.transpose(1, 2);
  } else {
    a = a.reshape({b.size(0), -1, a.size(2)});
  }
  const bool is_exact =
      double(a.size(2)) * largest_magnitude(left) * largest_magnitude(right) < kExactInFp32;
  const auto type = products_ == Products::kPlain ? torch::kLong
                    : is_exact                    ? torch::kFloat
                                                  : torch::kDouble;
  torch::Tensor sums = torch::bmm(a.to(type), b.to(type)).to(torch::kFloat);
  sums = op.kind == OpKind::kAttentionMix
             ? image_of_heads(sums, op.output, op.kv_heads)
             : sums.reshape({sums.size(0) / op.kv_heads, -1, sums.size(2)});
  return {Value::Kind::kSum, sums, {product_scale}};
}

torch::Tensor QuantizedExecutor::real(const Value& value, int index) const {
  switch (value.kind) {
    case Value::Kind::kReal:
      return value.numbers;
    case Value::Kind::kInteger:
      return centred(value, index) * network_.quantized.values[size_t(index)]->scale;
    case Value::Kind::kSum: {
      const auto reals = value.numbers * fp32_factors(value.product_scales, value.numbers.dim());
      return value.is_at_most_6 ? reals.clamp_max(6) : reals;
    }
  }
  throw std::logic_error("a value of no kind");
}

torch::Tensor QuantizedExecutor::centred(const Value& value, int index) const {
  const int zero_point = network_.quantized.values[size_t(index)]->zero_point;
  return zero_point == 0 ? value.numbers : value.numbers - zero_point;
}

torch::Tensor QuantizedExecutor::rounded(const Value& value, const ValueScale& scale) {
  torch::Tensor quotient;
  int most = highest(scale.type);
  if (value.kind == Value::Kind::kSum) {
    std::vector<double> factors = value.product_scales;
    for (double& factor : factors) factor /= double(scale.scale);
    quotient = value.numbers * fp32_factors(factors, value.numbers.dim());
    if (value.is_at_most_6) {
      most = std::min(
          most, int(std::min(std::nearbyint(6 / double(scale.scale)), 1e6)) + scale.zero_point);
    }
  } else {
    quotient = value.numbers / scale.scale;
  }
  return quotient.round_().add_(scale.zero_point).clamp_(lowest(scale.type), most);
}

QuantizedExecutor::Value QuantizedExecutor::from_stored(const torch::Tensor& stored, int op) const {
  const bool is_integer = network_.quantized.values[size_t(op)].has_value();
  return {is_integer ? Value::Kind::kInteger : Value::Kind::kReal, stored.to(torch::kFloat)};
}

torch::Tensor QuantizedExecutor::stored(const Value& value, int op) const {
  const auto& scale = network_.quantized.values[size_t(op)];
  if (!scale) return real(value, op);
  return value.numbers.to(scale->type == IntegerType::kU8 ? torch::kByte : torch::kChar);
}

}  // namespace ridgewalk
