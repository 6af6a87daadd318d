#include "supernet/inference/compiler.h"

#include <stdexcept>

#include "supernet/inference/op_compiler.h"

namespace ridgewalk {

using dnnl::algorithm;
using dnnl::memory;
using Tag = memory::format_tag;

void append(dnnl::post_ops& post_ops, const Op& op) {
  const auto eltwise = [&](algorithm kind, float alpha = 0, float beta = 0) {
    onednn::append_eltwise(post_ops, kind, alpha, beta);
  };
  if (op.kind == OpKind::kSigmoid) return eltwise(algorithm::eltwise_logistic);
  if (op.kind == OpKind::kHardSigmoid) {
    eltwise(algorithm::eltwise_linear, 1.f / 6, 0.5f);
    return eltwise(algorithm::eltwise_clip, 0, 1);
  }
  switch (op.activation) {
    case Activation::kNone:
      return;
    case Activation::kRelu:
      return eltwise(algorithm::eltwise_relu);
    case Activation::kRelu6:
      return eltwise(algorithm::eltwise_clip, 0, 6);
    case Activation::kHardSwish:
      return eltwise(algorithm::eltwise_hardswish, 1.f / 6, 0.5f);
    case Activation::kSilu:
      return eltwise(algorithm::eltwise_swish, 1);
    case Activation::kGelu:
      return eltwise(algorithm::eltwise_gelu_erf);
  }
}

OpCompiler::OpCompiler(const QuantizedGraph& quantized, const ParameterOf& parameter, int batch,
                       DataType precision, Program& program, std::vector<Inference::Step>& steps)
    : quantized_(quantized),
      graph_(quantized.graph),
      parameter_(parameter),
      batch_(batch),
      precision_(precision),
      type_(precision == DataType::kBf16 ? Type::bf16 : Type::f32),
      is_output_(graph_.ops.size()),
      values_(graph_.ops.size(), -1),
      reals_(graph_.ops.size(), -1),
      program_(program),
      steps_(steps) {
  for (const Output& output : graph_.outputs) is_output_[size_t(output.op)] = true;
  if (graph_.outputs.empty()) is_output_.back() = true;
}

void OpCompiler::run() {
  images();
  for (const InferenceStep& step : inference_steps(graph_, batch_)) compile(step);
  std::vector<int> outputs;
  for (const Output& output : graph_.outputs) outputs.push_back(output.op);
  if (outputs.empty()) outputs = {int(graph_.ops.size()) - 1};
  std::vector<Value> values;
  for (int output : outputs) {
    const bool is_integer = scale_of(output).has_value();
    values.push_back(as_real(output));
    if (is_integer) end_step({}, values.back(), "dequantize", DataType::kFp32);
  }
  program_.finish(std::move(values));
}

void OpCompiler::images() {
  const Shape& image = graph_.ops[0].output;
  const Value given = program_.input({dims(image), Type::f32, Tag::nchw});
  if (const auto& scale = scale_of(0)) {
    values_[0] = program_.value(like(0));
    program_.add(
        [form = form_of(*scale), images = batch_, channels = int64_t{image.channels},
         pixels = int64_t{image.height} * image.width](uint8_t* const* operands) {
          for (int64_t n = 0; n < images; ++n) {
            const int64_t start = n * channels * pixels;
            quantize_image(reinterpret_cast<const float*>(operands[0]) + start, channels, pixels,
                           form, operands[1] + start);
          }
        },
        {given, values_[0]});
    return end_step({}, values_[0], "quantize", DataType::kFp32);
  }
  values_[0] = program_.value(activations(image));
  const dnnl::reorder::primitive_desc description(program_.engine(), layout(given),
                                                  program_.engine(), layout(values_[0]),
                                                  Program::attributes());
  program_.add<dnnl::reorder>(description, {{DNNL_ARG_SRC, given}, {DNNL_ARG_DST, values_[0]}});
  end_step({}, values_[0], description.impl_info_str(), DataType::kFp32);
}

bool OpCompiler::has_integer_inputs(int index) const {
  for (int input : op(index).inputs) {
    if (!scale_of(input)) return false;
  }
  return true;
}

OpCompiler::Desc OpCompiler::activations(const Shape& shape, Type type) const {
  return {dims(shape), type, Tag::nhwc};
}

OpCompiler::Value OpCompiler::real(int index, size_t i) { return as_real(op(index).inputs[i]); }

OpCompiler::Value OpCompiler::as_real(int index) {
  const Value stored = values_[size_t(index)];
  const auto& scale = scale_of(index);
  if (!scale) return stored;
  Value& real = reals_[size_t(index)];
  if (real >= 0) return real;
  const Dims sizes = onednn::sizes(layout(stored));
  real = program_.value({sizes, Type::f32, sizes.size() == 3 ? Tag::abc : Tag::nhwc});
  program_.add(
      [form = form_of(*scale),
       count = int64_t(layout(stored).get_size())](uint8_t* const* operands) {
        dequantize_row(operands[0], count, form, reinterpret_cast<float*>(operands[1]));
      },
      {stored, real});
  return real;
}

void OpCompiler::store(const std::vector<int>& ops, Value output, std::string kernel) {
  if (const auto& scale = scale_of(ops.back())) {
    const Dims sizes = onednn::sizes(layout(output));
    const Value rounded =
        program_.value({sizes, stored_type(*scale), sizes.size() == 3 ? Tag::abc : Tag::nhwc});
    kernel += round(output, rounded, *scale);
    output = rounded;
  }
  end_step(ops, output, kernel, precision_);
}

std::string OpCompiler::round(Value reals, Value integers, const ValueScale& scale) {
  program_.add(
      [form = form_of(scale),
       count = int64_t(layout(integers).get_size())](uint8_t* const* operands) {
        quantize_row(reinterpret_cast<const float*>(operands[0]), count, form, operands[1]);
      },
      {reals, integers});
  return " + quantize";
}

void OpCompiler::end_step(const std::vector<int>& ops, Value output, const std::string& kernel,
                          DataType type) {
  program_.end_step(output);
  const std::string name = !ops.empty() ? op(ops[0]).name : steps_.empty() ? "images" : "outputs";
  steps_.push_back({name, ops, kernel, type});
  for (int done : ops) values_[size_t(done)] = output;
}

OpCompiler::Value OpCompiler::constant(const torch::Tensor& tensor, const Desc& wanted) {
  const bool is_integer = !tensor.is_floating_point();
  const torch::Tensor plain =
      (is_integer ? tensor.detach() : tensor.detach().to(torch::kFloat)).contiguous();
  const Type type = !is_integer                            ? Type::f32
                    : tensor.scalar_type() == torch::kChar ? Type::s8
                                                           : Type::s32;
  const Dims sizes = onednn::sizes(wanted);
  Dims strides(sizes.size(), 1);
  for (size_t d = sizes.size() - 1; d > 0; --d) strides[d - 1] = strides[d] * sizes[d];
  memory given({sizes, type, strides}, program_.engine(), plain.data_ptr());
  memory packed(wanted, program_.engine());
  dnnl::stream stream(program_.engine());
  dnnl::reorder(given, packed).execute(stream, given, packed);
  stream.wait();
  return program_.constant(std::move(packed));
}

// What does not run inside the convolution is computed after it, op by op.
void OpCompiler::compile(const InferenceStep& step) {
  const OpKind kind = op(step.ops[0]).kind;
  if (kind == OpKind::kConv || kind == OpKind::kDepthwise || kind == OpKind::kLinear) {
    return convolution(step);
  }
  // Scores that are rounded, or whose weights are for real values, are computed whole.
  if (step.in_tiles > 0 && !scale_of(step.ops[0]) &&
      (multiplies_integers(step) || !scale_of(step.ops[1]))) {
    return tiled_attention(step);
  }
  for (int index : step.ops) compile(index);
}

void OpCompiler::compile(int index, bool is_last_reader) {
  if (integer_op(index, is_last_reader)) return;
  switch (op(index).kind) {
    case OpKind::kInput:
      return;
    case OpKind::kConv:
    case OpKind::kDepthwise:
    case OpKind::kLinear:
      return convolution({.ops = {index}});
    case OpKind::kNorm:
      return norm(index);
    case OpKind::kLayerScale:
      return scale(index, parameter(op(index), ".gamma"), {});
    case OpKind::kActivation:
    case OpKind::kSigmoid:
    case OpKind::kHardSigmoid:
      return elementwise(index);
    case OpKind::kSoftmax:
      return softmax(index);
    case OpKind::kAdd:
      return binary(index, algorithm::binary_add);
    case OpKind::kMultiply:
      return binary(index, algorithm::binary_mul);
    case OpKind::kMean:
      return mean(index);
    case OpKind::kPool:
      return pool(index);
    case OpKind::kUpsample:
      return upsample(index);
    case OpKind::kAttentionScores:
      return attention_scores(index);
    case OpKind::kAttentionMix:
      return attention_mix(index);
  }
}

void OpCompiler::norm(int index) {
  const Op& o = op(index);
  const torch::Tensor scale =
      parameter(o, ".weight") / torch::sqrt(parameter(o, ".running_var") + graph_.norm.epsilon);
  this->scale(index, scale, parameter(o, ".bias") - parameter(o, ".running_mean") * scale);
}

// x * factor + shift, by channel.
void OpCompiler::scale(int index, const torch::Tensor& factor, const torch::Tensor& shift) {
  const Value x = real(index);
  const Desc source = layout(x);
  const Desc column({1, onednn::sizes(source)[1], 1, 1}, Type::f32, Tag::nchw);
  dnnl::post_ops post_ops;
  Program::Bindings bindings{{DNNL_ARG_SRC_0, x}, {DNNL_ARG_SRC_1, constant(factor, column)}};
  if (shift.defined()) {
    post_ops.append_binary(algorithm::binary_add, column);
    bindings.emplace_back(DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1,
                          constant(shift, column));
  }
  const auto chosen =
      onednn::describe<dnnl::binary>(program_.engine(), Program::attributes(post_ops),
                                     algorithm::binary_mul, source, column, source);
  add<dnnl::binary>(chosen, bindings, {index}, program_.value(source));
}

// After a product with 1: oneDNN 3 has no elementwise primitives that others run inside of.
void OpCompiler::elementwise(int index) {
  const Value x = real(index);
  const Desc source = layout(x);
  const int64_t channels = onednn::sizes(source)[1];
  const Desc column({1, channels, 1, 1}, Type::f32, Tag::nchw);
  dnnl::post_ops post_ops;
  append(post_ops, op(index));
  const auto chosen =
      onednn::describe<dnnl::binary>(program_.engine(), Program::attributes(post_ops),
                                     algorithm::binary_mul, source, column, source);
  add<dnnl::binary>(
      chosen, {{DNNL_ARG_SRC_0, x}, {DNNL_ARG_SRC_1, constant(torch::ones({channels}), column)}},
      {index}, program_.value(source));
}

void OpCompiler::softmax(int index) {
  const Value scores = real(index);
  const std::optional<ValueScale>& scale = scale_of(index);
  const Desc source = layout(scores);
  const Type type = scale ? stored_type(*scale) : onednn::type_of(source);
  const Value weights = program_.value({onednn::sizes(source), type, Tag::abc});
  end_step({index}, weights, softmax(scores, weights, scale), precision_);
}

// Over the last axis. Weights that are rounded leave the scores undefined: nothing else reads them.
std::string OpCompiler::softmax(Value scores, Value weights,
                                const std::optional<ValueScale>& scale) {
  const Desc source = layout(scores);
  const int last_axis = int(onednn::sizes(source).size()) - 1;
  const auto chosen =
      onednn::describe<onednn::Softmax>(program_.engine(), Program::attributes(), kInference,
                                        algorithm::softmax_accurate, source, source, last_axis);
  const Value exact = scale ? scores : weights;
  program_.add<onednn::Softmax>(chosen, {{DNNL_ARG_SRC, scores}, {DNNL_ARG_DST, exact}});
  if (!scale) return chosen.impl_info_str();
  return chosen.impl_info_str() + round(exact, weights, *scale);
}

void OpCompiler::binary(int index, algorithm kind) {
  const Value a = real(index), b = real(index, 1);
  const Desc output = layout(a);
  const auto chosen = onednn::describe<dnnl::binary>(program_.engine(), Program::attributes(), kind,
                                                     output, layout(b), output);
  add<dnnl::binary>(chosen, {{DNNL_ARG_SRC_0, a}, {DNNL_ARG_SRC_1, b}}, {index},
                    program_.value(output));
}

void OpCompiler::mean(int index) {
  const size_t count = op(index).inputs.size();
  const Desc output = activations(op(index).output);
  Program::Bindings bindings;
  for (size_t i = 0; i < count; ++i) {
    bindings.emplace_back(DNNL_ARG_MULTIPLE_SRC + int(i), real(index, i));
  }
  const auto chosen = onednn::describe_sum(program_.engine(), Program::attributes(), output,
                                           std::vector<float>(count, 1.f / float(count)),
                                           std::vector<Desc>(count, output));
  add<dnnl::sum>(chosen, bindings, {index}, program_.value(output));
}

void OpCompiler::pool(int index) {
  const Value x = real(index);
  const Desc source = layout(x);
  const Desc output = activations(op(index).output);
  const Dims image = onednn::sizes(source), window{image[2], image[3]}, none(2, 0);
  const auto chosen = onednn::describe<onednn::Pooling>(
      program_.engine(), Program::attributes(), kInference, algorithm::pooling_avg_exclude_padding,
      source, output, window, window, none, none, none);
  add<onednn::Pooling>(chosen, {{DNNL_ARG_SRC, x}}, {index}, program_.value(output));
}

// Integers are copied where those of the input stand for the same numbers.
void OpCompiler::upsample(int index) {
  const auto& from = input_scale(index);
  const auto& to = scale_of(index);
  const bool are_same = from && to && from->type == to->type && from->scale == to->scale &&
                        from->zero_point == to->zero_point;
  const Value x = are_same ? input(index) : real(index);
  const Desc source = layout(x);
  const Desc output = are_same ? like(index) : activations(op(index).output);
  const auto chosen = onednn::describe<dnnl::resampling_forward>(
      program_.engine(), Program::attributes(), kInference, algorithm::resampling_nearest, source,
      output);
  const Value result = program_.value(output);
  if (!are_same) {
    return add<dnnl::resampling_forward>(chosen, {{DNNL_ARG_SRC, x}}, {index}, result);
  }
  program_.add<dnnl::resampling_forward>(chosen, {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, result}});
  end_integer_step({index}, result, chosen.impl_info_str());
}

void compile(const QuantizedGraph& quantized, const ParameterOf& parameter, int batch,
             DataType precision, Program& program, std::vector<Inference::Step>& steps) {
  OpCompiler(quantized, parameter, batch, precision, program, steps).run();
}

}  // namespace ridgewalk
