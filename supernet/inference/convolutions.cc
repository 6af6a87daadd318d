// Convolutions, of real numbers and of integers; linear layers are convolutions whose kernel is as
// large as the image.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "supernet/inference/op_compiler.h"
#include "supernet/kernels/integer_depthwise_kernel.h"
#include "supernet/quantization/integer_arithmetic.h"

namespace ridgewalk {

using dnnl::algorithm;
using Tag = dnnl::memory::format_tag;

namespace {

bool is_fused_relu(const Op& op) {
  return op.kind == OpKind::kActivation &&
         (op.activation == Activation::kRelu || op.activation == Activation::kRelu6);
}

}  // namespace

struct OpCompiler::Convolution {
  Desc source, weights, output;
  Dims strides, padding, after;
};

bool OpCompiler::multiplies_integers(int index) const {
  return quantized_.weights[size_t(index)] && input_scale(index);
}

OpCompiler::Filters OpCompiler::filters(int index) const {
  const Op& o = op(index);
  Filters filters{parameter(o, ".weight"), o.bias ? parameter(o, ".bias") : torch::Tensor(), {}};
  const auto& scale = quantized_.weights[size_t(index)];
  if (!scale) return filters;
  filters.scales.assign(scale->scales.begin(), scale->scales.end());
  filters.scales.resize(size_t(o.output.channels), filters.scales[0]);
  if (multiplies_integers(index)) return filters;
  Dims shape(size_t(filters.weight.dim()), 1);
  shape[0] = o.output.channels;
  filters.weight =
      filters.weight.to(torch::kDouble) * torch::tensor(filters.scales, torch::kDouble).view(shape);
  return filters;
}

ConvolutionShape OpCompiler::shape_of(int index) const {
  const Op& o = op(index);
  const bool is_linear = o.kind == OpKind::kLinear;
  const Shape& image = op(o.inputs[0]).output;
  return {.in_channels = image.channels,
          .channels = o.output.channels,
          .groups = groups_of(o),
          .kernel_height = is_linear ? image.height : o.kernel,
          .kernel_width = is_linear ? image.width : o.kernel,
          .stride = o.stride,
          .height = image.height,
          .width = image.width,
          .out_height = o.output.height,
          .out_width = o.output.width,
          .padding = is_linear ? 0 : (o.kernel - 1) / 2};
}

OpCompiler::Convolution OpCompiler::geometry(int index, const torch::Tensor& weight, Type source,
                                             Type weights, Type output) const {
  const Op& o = op(index);
  const bool is_linear = o.kind == OpKind::kLinear;
  const Shape& image = op(o.inputs[0]).output;
  Dims shape = weight.sizes().vec();  // [out, in / groups, k, k]
  if (is_linear) shape = {o.output.channels, image.channels, image.height, image.width};
  if (const int64_t groups = image.channels / shape[1]; groups > 1) {
    shape[0] /= groups;
    shape.insert(shape.begin(), groups);
  }
  Convolution result{.source = activations(image, source),
                     .weights = Desc(shape, weights, Tag::any),
                     .output = activations(o.output, output),
                     .strides = Dims(2, o.stride),
                     .padding = Dims(2, is_linear ? 0 : (o.kernel - 1) / 2),
                     .after = Dims(2)};
  for (size_t d = 0; d < 2; ++d) {  // only padding that is read
    const int64_t kernel = shape[shape.size() - 2 + d];
    const int64_t from = onednn::sizes(result.source)[d + 2];
    const int64_t to = onednn::sizes(result.output)[d + 2];
    result.after[d] = (to - 1) * o.stride + kernel - from - result.padding[d];
  }
  return result;
}

// How many ops of a step run inside its convolution. Before the last of them nothing is rounded,
// but an integer convolution before the add of an integer.
size_t OpCompiler::fused_count(const InferenceStep& step) const {
  const std::vector<int>& ops = step.ops;
  const auto is_add = [&](size_t i) { return op(ops[i]).kind == OpKind::kAdd; };
  size_t count = 1;
  if (!multiplies_integers(ops[0])) {
    while (count < ops.size() && !scale_of(ops[count - 1]) &&
           !(is_add(count) && scale_of(step.overwrites))) {
      ++count;
    }
    return count;
  }
  if (!scale_of(ops[0])) {
    if (ops.size() == 1 || !is_fused_relu(op(ops[1]))) return 1;
    count = 2;
  }
  if (adds_exactly(ops[0]) && count < ops.size() && scale_of(ops[count - 1]) && is_add(count) &&
      scale_of(step.overwrites) && scale_of(ops[count]) && is_around_zero(ops[count - 1]) &&
      is_around_zero(step.overwrites) && is_around_zero(ops[count])) {
    ++count;
  }
  return count;
}

void OpCompiler::convolution(const InferenceStep& step) {
  const size_t count = fused_count(step);
  InferenceStep fused{.ops = {step.ops.begin(), step.ops.begin() + std::ptrdiff_t(count)}};
  const bool has_add = std::any_of(fused.ops.begin(), fused.ops.end(),
                                   [&](int i) { return op(i).kind == OpKind::kAdd; });
  if (has_add) fused.overwrites = step.overwrites;
  if (multiplies_integers(step.ops[0])) {
    integer_convolution(fused);
  } else {
    real_convolution(fused);
  }
  for (size_t i = count; i < step.ops.size(); ++i) compile(step.ops[i], true);
}

void OpCompiler::real_convolution(const InferenceStep& step) {
  const int index = step.ops[0];
  const Op& o = op(index);
  const Filters filters = this->filters(index);
  const Convolution c =
      geometry(index, filters.weight, type_, type_, is_output_[size_t(index)] ? Type::f32 : type_);
  const Desc bias = o.bias ? Desc({o.output.channels}, Type::f32, Tag::x) : Desc();
  dnnl::post_ops post_ops;
  for (size_t i = 1; i < step.ops.size(); ++i) {
    if (op(step.ops[i]).kind == OpKind::kAdd) {
      post_ops.append_sum();
    } else {
      append(post_ops, op(step.ops[i]));
    }
  }
  const auto chosen = onednn::describe<dnnl::convolution_forward>(
      program_.engine(), Program::attributes(post_ops), kInference, algorithm::convolution_direct,
      c.source, c.weights, bias, c.output, c.strides, c.padding, c.after);
  Program::Bindings bindings{{DNNL_ARG_SRC, real(index)},
                             {DNNL_ARG_WEIGHTS, constant(filters.weight, chosen.weights_desc())}};
  if (o.bias) bindings.emplace_back(DNNL_ARG_BIAS, constant(filters.bias, bias));
  const Value result =
      step.overwrites < 0 ? program_.value(c.output) : values_[size_t(step.overwrites)];
  add<dnnl::convolution_forward>(chosen, std::move(bindings), step.ops, result);
}

// What follows the scaled sum of an integer convolution: ReLU, and the rounding before an add or
// before a zero point. The rounding and saturation of what is stored are the primitive's own.
dnnl::post_ops OpCompiler::rounding(const InferenceStep& step,
                                    const std::optional<ValueScale>& sum) const {
  const auto eltwise = [](dnnl::post_ops& post_ops, algorithm kind, float alpha = 0,
                          float beta = 0) { onednn::append_eltwise(post_ops, kind, alpha, beta); };
  dnnl::post_ops post_ops;
  const bool is_stored = step.overwrites < 0;
  if (step.ops.size() > 1 && is_fused_relu(op(step.ops[1]))) {
    const bool saturates = is_stored && sum && lowest(sum->type) == 0 && sum->zero_point == 0;
    const bool is_relu6 = op(step.ops[1]).activation == Activation::kRelu6;
    const float most = sum ? float(std::nearbyint(6 / double(sum->scale))) : 6;
    if (is_relu6 && !(saturates && most >= 255)) {
      eltwise(post_ops, algorithm::eltwise_clip, 0, most);
    } else if (!saturates) {
      eltwise(post_ops, algorithm::eltwise_relu);
    }
  }
  if (!is_stored) {
    const ValueScale &skip = *scale_of(step.overwrites), &last = *scale_of(step.ops.back());
    const int least = lowest(sum->type);
    eltwise(post_ops, algorithm::eltwise_round);
    eltwise(post_ops, algorithm::eltwise_clip, float(least), float(least + 255));
    eltwise(post_ops, algorithm::eltwise_linear, sum_factor(*sum, last));
    post_ops.append_sum(sum_factor(skip, last), 0, stored_type(skip));
  } else if (sum && sum->zero_point != 0) {
    eltwise(post_ops, algorithm::eltwise_round);
    eltwise(post_ops, algorithm::eltwise_linear, 1, float(sum->zero_point));
  }
  return post_ops;
}

// By output channel, from the integer sum to what it is rounded to; without rounding, to reals.
std::vector<float> OpCompiler::sum_factors(int index, const std::vector<double>& weight_scales,
                                           const std::optional<ValueScale>& sum) const {
  std::vector<float> factors;
  for (double weight_scale : weight_scales) {
    const double product_scale = double(input_scale(index)->scale) * weight_scale;
    factors.push_back(sum ? multiplier(product_scale, *sum) : float(product_scale));
  }
  return factors;
}

// Whether oneDNN's sums are exact: on this CPU, and, as fp32, in which it adds what a zero point
// takes away.
bool OpCompiler::adds_exactly(int index) const {
  constexpr double kExactInFp32 = 1 << 24;
  if (!onednn::adds_exactly()) return false;
  if (input_scale(index)->zero_point == 0) return true;
  const torch::Tensor sums =
      parameter(op(index), ".weight").to(torch::kDouble).abs().flatten(1).sum(1);
  return 255 * sums.max().item<double>() < kExactInFp32;
}

// The int32 bias of a convolution that multiplies bytes as they are, zero point included; undefined
// where there is none.
torch::Tensor OpCompiler::bias_of_bytes(int index, const Filters& filters) const {
  const int zero_point = input_scale(index)->zero_point;
  if (zero_point == 0) return filters.bias;
  const torch::Tensor moved = -zero_point * filters.weight.to(torch::kInt).flatten(1).sum(1);
  return (filters.bias.defined() ? filters.bias + moved : moved).to(torch::kInt).contiguous();
}

// The input of a convolution, with a border of bytes that stand for 0 where 0 is another byte; then
// the convolution pads nothing more.
OpCompiler::Value OpCompiler::padded(int index, Convolution& c) {
  const ValueScale& scale = *input_scale(index);
  const Shape& image = op(op(index).inputs[0]).output;
  const int64_t top = c.padding[0], left = c.padding[1];
  const int64_t bottom = std::max<int64_t>(c.after[0], 0), right = std::max<int64_t>(c.after[1], 0);
  if (scale.zero_point == 0 || std::max({top, left, bottom, right}) == 0) return input(index);
  const int64_t height = image.height, row = int64_t{image.width} * image.channels;
  const int64_t high = top + height + bottom, wide = (left + image.width + right) * image.channels;
  c.source = {{batch_, image.channels, high, wide / image.channels}, stored_type(scale), Tag::nhwc};
  c.padding = {0, 0};
  c.after = {std::min<int64_t>(c.after[0], 0), std::min<int64_t>(c.after[1], 0)};
  const Value result = program_.value(c.source);
  program_.add(
      [=, zero = scale.zero_point, images = batch_,
       start = left * int64_t{image.channels}](uint8_t* const* operands) {
        std::memset(operands[1], zero, size_t(images * high * wide));
        for (int64_t n = 0; n < images; ++n) {
          for (int64_t y = 0; y < height; ++y) {
            std::copy_n(operands[0] + (n * height + y) * row, row,
                        operands[1] + (n * high + top + y) * wide + start);
          }
        }
      },
      {input(index), result});
  return result;
}

void OpCompiler::integer_convolution(const InferenceStep& step) {
  if (has_own_kernel(step)) return integer_depthwise(step);
  if (!adds_exactly(step.ops[0])) return exact_convolution(step);
  const int index = step.ops[0];
  const Op& o = op(index);
  const bool has_relu = step.ops.size() > 1 && is_fused_relu(op(step.ops[1]));
  const std::optional<ValueScale>& sum = scale_of(step.ops[has_relu ? 1 : 0]);
  const std::optional<ValueScale>& last = scale_of(step.ops.back());
  const Filters filters = this->filters(index);
  Convolution c = geometry(index, filters.weight, stored_type(*input_scale(index)), Type::s8,
                           last ? stored_type(*last) : Type::f32);
  const Value source = padded(index, c);
  const torch::Tensor bias = bias_of_bytes(index, filters);

  onednn::ScaledSums scaled(o.output.channels, bias.defined(), rounding(step, sum));
  dnnl::primitive_attr attributes = Program::attributes(scaled.post_ops());
  const std::vector<float> factors = sum_factors(index, filters.scales, sum);
  scaled.set(attributes, factors);
  const auto chosen = onednn::describe<dnnl::convolution_forward>(
      program_.engine(), attributes, kInference, algorithm::convolution_direct, c.source, c.weights,
      scaled.bias(), c.output, c.strides, c.padding, c.after);

  Program::Bindings bindings{{DNNL_ARG_SRC, source},
                             {DNNL_ARG_WEIGHTS, constant(filters.weight, chosen.weights_desc())}};
  for (const auto& [argument, desc] : scaled.bias_arguments()) {
    bindings.emplace_back(argument, constant(bias, desc));
  }
  for (const auto& [argument, desc] : scaled.factor_arguments()) {
    bindings.emplace_back(argument, constant(torch::tensor(factors), desc));
  }
  const Value result = step.overwrites < 0
                           ? program_.value(c.output)
                           : program_.alias(values_[size_t(step.overwrites)], c.output);
  bindings.emplace_back(DNNL_ARG_DST, result);
  program_.add<dnnl::convolution_forward>(chosen, std::move(bindings));
  end_integer_step(step.ops, result, chosen.impl_info_str());
}

// What kernels of our own do to the sums of a convolution without an add.
SumRounding OpCompiler::own_rounding(const InferenceStep& step, const Filters& filters) const {
  const int index = step.ops[0];
  const std::optional<ValueScale>& scale = scale_of(step.ops.back());
  constexpr float kUnlimited = std::numeric_limits<float>::infinity();
  SumRounding result{.bias = std::vector<int32_t>(size_t(op(index).output.channels)),
                     .factors = sum_factors(index, filters.scales, scale),
                     .least = scale ? float(lowest(scale->type) - scale->zero_point) : -kUnlimited,
                     .most = scale ? float(highest(scale->type) - scale->zero_point) : kUnlimited,
                     .zero_point = scale ? scale->zero_point : 0};
  if (filters.bias.defined()) {
    std::copy_n(filters.bias.data_ptr<int32_t>(), result.bias.size(), result.bias.begin());
  }
  if (step.ops.size() == 1) return result;
  result.least = 0;
  if (op(step.ops[1]).activation == Activation::kRelu6) {
    const float six = scale ? float(std::nearbyint(6 / double(scale->scale))) : 6;
    result.most = std::min(result.most, six);
  }
  return result;
}

// oneDNN's use one of the four products that VNNI adds, but are faster where each group of rows
// gives one row of a large map (measured at 56 x 56: 1.05 to 1.2 times).
bool OpCompiler::has_own_kernel(const InferenceStep& step) const {
  const Op& o = op(step.ops[0]);
  if (o.kind != OpKind::kDepthwise || step.overwrites >= 0 || !scale_of(step.ops.back())) {
    return false;
  }
  if (!onednn::adds_exactly()) return true;
  const bool is_faster = o.stride == 1 || o.kernel > 3 || o.output.width <= 32 ||
                         input_scale(step.ops[0])->zero_point != 0;  // no border is copied
  return is_faster && IntegerDepthwise::is_fast() && onednn::has_avx512_vnni();
}

void OpCompiler::integer_depthwise(const InferenceStep& step) {
  const int index = step.ops[0], last = step.ops.back();
  const Op& o = op(index);
  const Shape& image = op(o.inputs[0]).output;
  const Filters filters = this->filters(index);
  const auto kernel = std::make_shared<const IntegerDepthwise>(
      shape_of(index), filters.weight.data_ptr<int8_t>(), form_of(*input_scale(index)),
      own_rounding(step, filters));
  const int64_t bytes = kernel->scratchpad_bytes(), parts = at::get_num_threads();
  const Value scratchpad = program_.scratchpad({{parts * bytes}, Type::u8, Tag::x});
  const Value result = integers_of(last);
  program_.add(
      [kernel, bytes, parts, images = batch_, x_size = image.elements(),
       y_size = o.output.elements()](uint8_t* const* operands) {
        in_strips(images, kernel->strips(), parts,
                  [&](int64_t part, int64_t n, int64_t begin, int64_t end) {
                    kernel->run(operands[0] + n * x_size, begin, end, operands[1] + part * bytes,
                                operands[2] + n * y_size);
                  });
      },
      {input(index), scratchpad, result});
  end_integer_step(step.ops, result, kernel->name());
}

}  // namespace ridgewalk
