#include "supernet/inference/compiler.h"

#include <cmath>

#include "space/attention_tile.h"
#include "space/inference_steps.h"

namespace ridgewalk {

using dnnl::algorithm;
using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;
using Value = Program::Value;
constexpr auto kInference = dnnl::prop_kind::forward_inference;

namespace {

// Appends an op that runs inside a primitive, after it.
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

// Turns ops into steps, in the order of the graph.
class Compiler {
 public:
  Compiler(const Graph& graph, const ParameterOf& parameter, int batch, DataType precision)
      : graph_(graph),
        parameter_(parameter),
        batch_(batch),
        type_(precision == DataType::kBf16 ? Type::bf16 : Type::f32),
        is_output_(graph_.ops.size()),
        values_(graph_.ops.size(), -1) {
    for (const Output& output : graph_.outputs) is_output_[size_t(output.op)] = true;
    if (graph_.outputs.empty()) is_output_.back() = true;
  }

  void run(Program& program, std::vector<Inference::Step>& steps) {
    program_ = &program;
    steps_ = &steps;
    const Shape& image = graph_.ops[0].output;
    const Value images = program.input({dims(image), Type::f32, Tag::nchw});
    values_[0] = copy(images, activations(image));
    for (const InferenceStep& step : inference_steps(graph_, batch_)) compile(step);
    std::vector<Value> outputs;
    for (const Output& output : graph_.outputs) outputs.push_back(values_[size_t(output.op)]);
    if (outputs.empty()) outputs = {values_.back()};
    program.finish(std::move(outputs));
  }

 private:
  const Op& op(int index) const { return graph_.ops[size_t(index)]; }
  Value input(int index, size_t i = 0) const { return values_[size_t(op(index).inputs[i])]; }
  memory::dims dims(const Shape& s) const { return {batch_, s.channels, s.height, s.width}; }
  using Desc = memory::desc;
  Desc layout(Value value) const { return program_->layout(value); }
  Desc activations(const Shape& shape) const { return {dims(shape), type_, Tag::nhwc}; }

  // Adds a step that computes `ops`; its output is that of the last.
  template <class Primitive>
  Value add(const typename Primitive::primitive_desc& description, Program::Bindings bindings,
            const std::vector<int>& ops, Value output) {
    bindings.emplace_back(DNNL_ARG_DST, output);
    program_->add<Primitive>(description, std::move(bindings));
    end_step(ops, description.impl_info_str());
    for (int done : ops) values_[size_t(done)] = output;
    return output;
  }

  void end_step(const std::vector<int>& ops, const std::string& kernel) {
    program_->end_step();
    steps_->push_back({ops.empty() ? "images" : op(ops[0]).name, ops, kernel});
  }

  Value copy(Value value, const Desc& wanted) {
    const Value copied = program_->value(wanted);
    const dnnl::reorder::primitive_desc description(
        program_->engine(), layout(value), program_->engine(), wanted, Program::attributes());
    program_->add<dnnl::reorder>(description, {{DNNL_ARG_SRC, value}, {DNNL_ARG_DST, copied}});
    end_step({}, description.impl_info_str());
    return copied;
  }

  // A parameter, packed once in the layout and type wanted.
  Value constant(const torch::Tensor& tensor, const Desc& wanted) {
    const torch::Tensor plain = tensor.detach().to(torch::kFloat).contiguous();
    const memory::dims sizes = onednn::sizes(wanted);
    memory::dims strides(sizes.size(), 1);
    for (size_t d = sizes.size() - 1; d > 0; --d) strides[d - 1] = strides[d] * sizes[d];
    memory given({sizes, Type::f32, strides}, program_->engine(), plain.data_ptr());
    memory packed(wanted, program_->engine());
    dnnl::stream stream(program_->engine());
    dnnl::reorder(given, packed).execute(stream, given, packed);
    stream.wait();
    return program_->constant(std::move(packed));
  }
  torch::Tensor parameter(const Op& op, const char* suffix) const {
    return parameter_(parameter_prefix(op) + suffix);
  }

  // What runs inside the primitive of a step's first op.
  dnnl::post_ops fused(const InferenceStep& step) const {
    dnnl::post_ops post_ops;
    for (size_t i = 1; i < step.ops.size(); ++i) {
      if (op(step.ops[i]).kind == OpKind::kAdd) {
        post_ops.append_sum();
      } else {
        append(post_ops, op(step.ops[i]));
      }
    }
    return post_ops;
  }

  void compile(const InferenceStep& step) {
    const int index = step.ops[0];
    if (step.in_tiles > 0) return tiled_attention(step);
    switch (op(index).kind) {
      case OpKind::kInput:
        return;
      case OpKind::kConv:
      case OpKind::kDepthwise:
      case OpKind::kLinear:
        return convolution(step);
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

  // A linear layer is a convolution whose kernel is as large as the image.
  void convolution(const InferenceStep& step) {
    const int index = step.ops[0];
    const Op& o = op(index);
    const bool is_linear = o.kind == OpKind::kLinear;
    const Shape& image = op(o.inputs[0]).output;
    const torch::Tensor weight = parameter(o, ".weight");
    memory::dims shape = weight.sizes().vec();
    if (is_linear) shape = {o.output.channels, image.channels, image.height, image.width};
    if (const int64_t groups = groups_of(o); groups > 1) {
      shape[0] /= groups;
      shape.insert(shape.begin(), groups);
    }
    const Desc source = activations(image);
    const Desc output(dims(o.output), is_output_[size_t(index)] ? Type::f32 : type_, Tag::nhwc);
    const Desc bias = o.bias ? Desc({o.output.channels}, Type::f32, Tag::x) : Desc();
    const memory::dims strides(2, o.stride), padding(2, is_linear ? 0 : (o.kernel - 1) / 2);
    memory::dims after(2);  // only padding that is read
    for (size_t d = 0; d < 2; ++d) {
      const int64_t kernel = shape[shape.size() - 2 + d];
      const int64_t from = onednn::sizes(source)[d + 2], to = onednn::sizes(output)[d + 2];
      after[d] = (to - 1) * o.stride + kernel - from - padding[d];
    }
    const auto chosen = onednn::describe<dnnl::convolution_forward>(
        program_->engine(), Program::attributes(fused(step)), kInference,
        algorithm::convolution_direct, source, Desc(shape, type_, Tag::any), bias, output, strides,
        padding, after);
    Program::Bindings bindings{{DNNL_ARG_SRC, input(index)},
                               {DNNL_ARG_WEIGHTS, constant(weight, chosen.weights_desc())}};
    if (o.bias) bindings.emplace_back(DNNL_ARG_BIAS, constant(parameter(o, ".bias"), bias));
    const Value result =
        step.overwrites < 0 ? program_->value(output) : values_[size_t(step.overwrites)];
    add<dnnl::convolution_forward>(chosen, std::move(bindings), step.ops, result);
  }

  void norm(int index) {
    const Op& o = op(index);
    const torch::Tensor scale =
        parameter(o, ".weight") / torch::sqrt(parameter(o, ".running_var") + graph_.norm.epsilon);
    this->scale(index, scale, parameter(o, ".bias") - parameter(o, ".running_mean") * scale);
  }

  // x * factor + shift, by channel.
  void scale(int index, const torch::Tensor& factor, const torch::Tensor& shift) {
    const Desc source = layout(input(index));
    const Desc column({1, onednn::sizes(source)[1], 1, 1}, Type::f32, Tag::nchw);
    dnnl::post_ops post_ops;
    Program::Bindings bindings{{DNNL_ARG_SRC_0, input(index)},
                               {DNNL_ARG_SRC_1, constant(factor, column)}};
    if (shift.defined()) {
      post_ops.append_binary(algorithm::binary_add, column);
      bindings.emplace_back(DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1,
                            constant(shift, column));
    }
    const auto chosen =
        onednn::describe<dnnl::binary>(program_->engine(), Program::attributes(post_ops),
                                       algorithm::binary_mul, source, column, source);
    add<dnnl::binary>(chosen, bindings, {index}, program_->value(source));
  }

  // After a product with 1: oneDNN 3 has no elementwise primitives that others run inside of.
  void elementwise(int index) {
    const Desc source = layout(input(index));
    const int64_t channels = onednn::sizes(source)[1];
    const Desc column({1, channels, 1, 1}, Type::f32, Tag::nchw);
    dnnl::post_ops post_ops;
    append(post_ops, op(index));
    const auto chosen =
        onednn::describe<dnnl::binary>(program_->engine(), Program::attributes(post_ops),
                                       algorithm::binary_mul, source, column, source);
    add<dnnl::binary>(chosen,
                      {{DNNL_ARG_SRC_0, input(index)},
                       {DNNL_ARG_SRC_1, constant(torch::ones({channels}), column)}},
                      {index}, program_->value(source));
  }

  void softmax(int index) {
    const Desc source = layout(input(index));
    const int last_axis = int(onednn::sizes(source).size()) - 1;
    const auto chosen =
        onednn::describe<onednn::Softmax>(program_->engine(), Program::attributes(), kInference,
                                          algorithm::softmax_accurate, source, source, last_axis);
    add<onednn::Softmax>(chosen, {{DNNL_ARG_SRC, input(index)}}, {index}, program_->value(source));
  }

  void binary(int index, algorithm kind) {
    const Desc output = layout(input(index));
    const auto chosen = onednn::describe<dnnl::binary>(
        program_->engine(), Program::attributes(), kind, output, layout(input(index, 1)), output);
    add<dnnl::binary>(chosen, {{DNNL_ARG_SRC_0, input(index)}, {DNNL_ARG_SRC_1, input(index, 1)}},
                      {index}, program_->value(output));
  }

  void mean(int index) {
    const size_t count = op(index).inputs.size();
    const Desc output = activations(op(index).output);
    Program::Bindings bindings;
    for (size_t i = 0; i < count; ++i) {
      bindings.emplace_back(DNNL_ARG_MULTIPLE_SRC + int(i), input(index, i));
    }
    const auto chosen = onednn::describe_sum(program_->engine(), Program::attributes(), output,
                                             std::vector<float>(count, 1.f / float(count)),
                                             std::vector<Desc>(count, output));
    add<dnnl::sum>(chosen, bindings, {index}, program_->value(output));
  }

  void pool(int index) {
    const Desc source = layout(input(index));
    const Desc output = activations(op(index).output);
    const memory::dims image = onednn::sizes(source), window{image[2], image[3]}, none(2, 0);
    const auto chosen = onednn::describe<onednn::Pooling>(
        program_->engine(), Program::attributes(), kInference,
        algorithm::pooling_avg_exclude_padding, source, output, window, window, none, none, none);
    add<onednn::Pooling>(chosen, {{DNNL_ARG_SRC, input(index)}}, {index}, program_->value(output));
  }

  void upsample(int index) {
    const Desc source = layout(input(index)), output = activations(op(index).output);
    const auto chosen = onednn::describe<dnnl::resampling_forward>(
        program_->engine(), Program::attributes(), kInference, algorithm::resampling_nearest,
        source, output);
    add<dnnl::resampling_forward>(chosen, {{DNNL_ARG_SRC, input(index)}}, {index},
                                  program_->value(output));
  }

  // An image of [C, H, W] as a matrix [H W heads, C / heads]: in channels last it already is one.
  Value as_matrix(Value value, int heads) {
    const memory::dims d = onednn::sizes(layout(value));
    return program_->alias(value, {{d[0], d[2] * d[3] * heads, d[1] / heads}, type_, Tag::abc});
  }
  Desc transposed(const Desc& matrix) const {
    const memory::dims d = onednn::sizes(matrix);
    return {{d[0], d[2], d[1]}, type_, Tag::acb};
  }

  static dnnl::post_ops score_scale(int64_t key_dim) {
    dnnl::post_ops scale;
    onednn::append_eltwise(scale, algorithm::eltwise_linear, float(1 / std::sqrt(double(key_dim))),
                           0);
    return scale;
  }

  // One key head serves all query heads, so the queries of every position and head form one matrix.
  void attention_scores(int index) {
    const Op& o = op(index);
    const Value query = as_matrix(input(index), o.heads);
    const Value key = as_matrix(input(index, 1), 1);
    const Desc right = transposed(layout(key));
    const memory::dims left = onednn::sizes(layout(query));
    const Desc output({batch_, left[1], onednn::sizes(right)[2]}, type_, Tag::abc);
    const dnnl::post_ops scale = score_scale(left[2]);
    const auto chosen = onednn::describe<dnnl::matmul>(
        program_->engine(), Program::attributes(scale), layout(query), right, output);
    add<dnnl::matmul>(chosen,
                      {{DNNL_ARG_SRC, query}, {DNNL_ARG_WEIGHTS, program_->alias(key, right)}},
                      {index}, program_->value(output));
  }

  void attention_mix(int index) {
    const Op& o = op(index);
    const Value weights = input(index);
    const Value value = as_matrix(input(index, 1), 1);
    const int64_t rows = onednn::sizes(layout(weights))[1];
    const Desc output({batch_, rows, onednn::sizes(layout(value))[2]}, type_, Tag::abc);
    const auto chosen = onednn::describe<dnnl::matmul>(program_->engine(), Program::attributes(),
                                                       layout(weights), layout(value), output);
    const Value mixed =
        add<dnnl::matmul>(chosen, {{DNNL_ARG_SRC, weights}, {DNNL_ARG_WEIGHTS, value}}, {index},
                          program_->value(output));
    values_[size_t(index)] = program_->alias(mixed, activations(o.output));
  }

  // Some rows of some of the matrices [N, R, C] that `value` holds.
  Value part(Value value, int64_t image, int64_t row, int64_t images, int64_t rows) {
    const memory::dims d = onednn::sizes(layout(value));
    const size_t bytes = (type_ == Type::bf16 ? 2 : 4) * size_t((image * d[1] + row) * d[2]);
    const memory::dims strides{d[1] * d[2], d[2], 1};
    return program_->alias(value, {{images, rows, d[2]}, type_, strides}, bytes);
  }

  // Scores, softmax and mix of a tile of queries after the other.
  void tiled_attention(const InferenceStep& step) {
    const int scores = step.ops[0], softmax = step.ops[1], index = step.ops[2];
    const Op& o = op(scores);
    const Value queries = as_matrix(input(scores), o.heads);
    const Value keys = as_matrix(input(scores, 1), 1), values = as_matrix(input(index, 1), 1);
    const int64_t rows = onednn::sizes(layout(queries))[1], count = o.output.width;
    const int64_t value_dim = onednn::sizes(layout(values))[2];
    const Value mixed = program_->value({{batch_, rows, value_dim}, type_, Tag::abc});
    const AttentionTile tile = attention_tile(batch_, rows, count);
    const Desc whole({tile.images, tile.rows, count}, type_, Tag::abc);
    const Value tile_scores = program_->value(whole), tile_weights = program_->value(whole);
    std::string kernel;
    for (int64_t n = 0; n < batch_; n += tile.images) {
      const int64_t images = std::min(tile.images, batch_ - n);
      for (int64_t r = 0; r < rows; r += tile.rows) {
        const int64_t height = std::min(tile.rows, rows - r);
        const Desc scored({images, height, count}, type_, Tag::abc);
        kernel = attend_tile({.queries = part(queries, n, r, images, height),
                              .keys = part(keys, n, 0, images, count),
                              .values = part(values, n, 0, images, count),
                              .scores = program_->alias(tile_scores, scored),
                              .weights = program_->alias(tile_weights, scored),
                              .mixed = part(mixed, n, r, images, height)});
      }
    }
    end_step(step.ops, kernel);
    values_[size_t(scores)] = tile_scores;
    values_[size_t(softmax)] = tile_weights;
    values_[size_t(index)] = program_->alias(mixed, activations(op(index).output));
  }

  struct Tile {
    Value queries, keys, values, scores, weights, mixed;
  };
  std::string attend_tile(const Tile& tile) {
    const memory::dims d = onednn::sizes(layout(tile.keys));
    const Desc right({d[0], d[2], d[1]}, type_, memory::dims{d[1] * d[2], 1, d[2]});
    const auto product =
        onednn::describe<dnnl::matmul>(program_->engine(), Program::attributes(score_scale(d[2])),
                                       layout(tile.queries), right, layout(tile.scores));
    program_->add<dnnl::matmul>(product, {{DNNL_ARG_SRC, tile.queries},
                                          {DNNL_ARG_WEIGHTS, program_->alias(tile.keys, right)},
                                          {DNNL_ARG_DST, tile.scores}});
    const Desc scored = layout(tile.scores);
    const auto softmax =
        onednn::describe<onednn::Softmax>(program_->engine(), Program::attributes(), kInference,
                                          algorithm::softmax_accurate, scored, scored, 2);
    program_->add<onednn::Softmax>(softmax,
                                   {{DNNL_ARG_SRC, tile.scores}, {DNNL_ARG_DST, tile.weights}});
    const auto mix = onednn::describe<dnnl::matmul>(
        program_->engine(), Program::attributes(), scored, layout(tile.values), layout(tile.mixed));
    program_->add<dnnl::matmul>(mix, {{DNNL_ARG_SRC, tile.weights},
                                      {DNNL_ARG_WEIGHTS, tile.values},
                                      {DNNL_ARG_DST, tile.mixed}});
    return product.impl_info_str();
  }

  const Graph& graph_;
  const ParameterOf& parameter_;
  const int64_t batch_;
  const Type type_;
  std::vector<bool> is_output_;  // those are fp32
  std::vector<Value> values_;    // of each op; -1 while it is not compiled
  Program* program_ = nullptr;
  std::vector<Inference::Step>* steps_ = nullptr;
};

}  // namespace

void compile(const Graph& graph, const ParameterOf& parameter, int batch, DataType precision,
             Program& program, std::vector<Inference::Step>& steps) {
  Compiler(graph, parameter, batch, precision).run(program, steps);
}

}  // namespace ridgewalk
