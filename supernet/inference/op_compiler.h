// How each op becomes calls. Integers that attention multiplies, or gives, are around 0: a network
// with other zero points there is refused before. Only for the .cc files of inference, as program.h
// is.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>

#include "space/inference_steps.h"
#include "supernet/inference/module.h"
#include "supernet/inference/program.h"
#include "supernet/kernels/convolution_shape.h"
#include "supernet/kernels/integer_kernel.h"

namespace ridgewalk {

inline constexpr auto kInference = dnnl::prop_kind::forward_inference;

// Turns ops into steps, in the order of the graph. A value lies in memory as `values` of the
// quantised graph say: as integers, or in the type that the network computes in.
class OpCompiler {
 public:
  OpCompiler(const QuantizedGraph& quantized, const ParameterOf& parameter, int batch,
             DataType precision, Program& program, std::vector<Inference::Step>& steps);
  void run();

 private:
  using Value = Program::Value;
  using Desc = dnnl::memory::desc;
  using Dims = dnnl::memory::dims;
  using Type = dnnl::memory::data_type;

  const Op& op(int index) const { return graph_.ops[size_t(index)]; }
  Value input(int index, size_t i = 0) const { return values_[size_t(op(index).inputs[i])]; }
  const std::optional<ValueScale>& scale_of(int index) const {
    return quantized_.values[size_t(index)];
  }
  const std::optional<ValueScale>& input_scale(int index, size_t i = 0) const {
    return scale_of(op(index).inputs[i]);
  }
  bool is_around_zero(int index) const {
    return !scale_of(index) || scale_of(index)->zero_point == 0;
  }
  bool has_integer_inputs(int index) const;
  Dims dims(const Shape& s) const { return {batch_, s.channels, s.height, s.width}; }
  Desc layout(Value value) const { return program_.layout(value); }
  Desc activations(const Shape& shape, Type type) const;
  Desc activations(const Shape& shape) const { return activations(shape, type_); }

  // An input as numbers to compute with: integers are turned into fp32 before the step.
  Value real(int index, size_t i = 0);
  Value as_real(int op);

  // Appends what computes `ops` in the type of the network, and ends the step.
  template <class Primitive>
  void add(const typename Primitive::primitive_desc& description, Program::Bindings bindings,
           const std::vector<int>& ops, Value output) {
    bindings.emplace_back(DNNL_ARG_DST, output);
    program_.add<Primitive>(description, std::move(bindings));
    store(ops, output, description.impl_info_str());
  }
  // The value of the last of `ops` is `output`, once it is rounded where that op says so.
  void store(const std::vector<int>& ops, Value output, std::string kernel);
  // Appends to a step; the end of its kernel's name.
  std::string round(Value reals, Value integers, const ValueScale& scale);
  // Ends a step whose value is what is to be kept.
  void end_step(const std::vector<int>& ops, Value output, const std::string& kernel,
                DataType type);
  void end_integer_step(const std::vector<int>& ops, Value output, const std::string& kernel) {
    end_step(ops, output, kernel, DataType::kInt8);
  }

  // A parameter, packed once in the layout and type wanted.
  Value constant(const torch::Tensor& tensor, const Desc& wanted);
  torch::Tensor parameter(const Op& op, const char* suffix) const {
    return parameter_(parameter_prefix(op) + suffix);
  }

  void images();
  void compile(const InferenceStep& step);
  void compile(int index, bool is_last_reader = false);

  // convolutions.cc
  struct Convolution;
  struct Filters {
    torch::Tensor weight, bias;  // as stored: integers or fp32; the bias may be undefined
    std::vector<double> scales;  // one per output channel, of integer weights
  };
  Filters filters(int index) const;
  ConvolutionShape shape_of(int index) const;
  Convolution geometry(int index, const torch::Tensor& weight, Type source, Type weights,
                       Type output) const;
  size_t fused_count(const InferenceStep& step) const;
  bool multiplies_integers(int index) const;
  void convolution(const InferenceStep& step);
  void real_convolution(const InferenceStep& step);
  void integer_convolution(const InferenceStep& step);
  Value padded(int index, Convolution& convolution);
  torch::Tensor bias_of_bytes(int index, const Filters& filters) const;
  bool adds_exactly(int index) const;
  bool has_own_kernel(const InferenceStep& step) const;
  void integer_depthwise(const InferenceStep& step);
  SumRounding own_rounding(const InferenceStep& step, const Filters& filters) const;
  dnnl::post_ops rounding(const InferenceStep& step, const std::optional<ValueScale>& sum) const;
  std::vector<float> sum_factors(int index, const std::vector<double>& weight_scales,
                                 const std::optional<ValueScale>& sum) const;

  // exact_products.cc: without VNNI
  void exact_convolution(const InferenceStep& step);
  void copy(Value from, Value to);
  std::string exact_matrix_product(int index, Value left, Value right, float factor, Value product);

  // integer_ops.cc
  // Whether the op is one; nothing else reads the input of a last reader.
  bool integer_op(int index, bool is_last_reader);
  void table(int index, bool in_place);
  void integer_add(int index);
  void integer_multiply(int index);
  void integer_pool(int index);
  Value integers_of(int index) { return program_.value(like(index)); }
  Desc like(int index) const;

  // attention_ops.cc
  struct Matrix;
  struct Head;
  struct Tile;
  Matrix rows_of_head(Value image, int head, int heads, int rows_of_position);
  Matrix rows_of_map(Value map, int head, int heads);
  Value transposed(const Matrix& matrix);
  Type product_type(int index) const;
  std::string matrix_product(int index, Value left, Value right, double factor, Value product);
  void end_product(int index, Value value, const std::string& kernel);
  void attention_scores(int index);
  void attention_mix(int index);
  bool multiplies_integers(const InferenceStep& attention) const;
  Matrix part(const Matrix& matrix, int64_t image, int64_t row, int64_t images, int64_t rows);
  void tiled_attention(const InferenceStep& step);
  std::string attend_head(const InferenceStep& step, const Head& head);
  std::string attend_tile(const InferenceStep& step, const Tile& tile);

  void norm(int index);
  void scale(int index, const torch::Tensor& factor, const torch::Tensor& shift);
  void elementwise(int index);
  void softmax(int index);
  std::string softmax(Value scores, Value weights, const std::optional<ValueScale>& scale);
  void binary(int index, dnnl::algorithm kind);
  void mean(int index);
  void pool(int index);
  void upsample(int index);

  const QuantizedGraph& quantized_;
  const Graph& graph_;
  const ParameterOf& parameter_;
  const int64_t batch_;
  const DataType precision_;  // of what is not integers
  const Type type_;
  std::vector<bool> is_output_;  // those are fp32
  std::vector<Value> values_;    // of each op; -1 while it is not compiled
  std::vector<Value> reals_;     // of each op: its integers in fp32; -1 until they are asked for
  Program& program_;
  std::vector<Inference::Step>& steps_;
};

// Shares out the strips of all images to at most `parts` threads: run(part, image, first strip,
// after the last). No two that run at once have the same part.
template <class Run>
void in_strips(int64_t images, int64_t strips, int64_t parts, const Run& run) {
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    int64_t strip = begin * images * strips / parts;
    const int64_t after = end * images * strips / parts;
    while (strip < after) {
      const int64_t image = strip / strips, first = strip % strips;
      const int64_t last = std::min(strips, first + after - strip);
      run(begin, image, first, last);
      strip += last - first;
    }
  });
}

// Appends an op that runs inside a primitive, after it.
void append(dnnl::post_ops& post_ops, const Op& op);

inline dnnl::memory::data_type stored_type(const ValueScale& scale) {
  return scale.type == IntegerType::kU8 ? dnnl::memory::data_type::u8 : dnnl::memory::data_type::s8;
}
inline IntegerForm form_of(const ValueScale& scale) {
  return {scale.type == IntegerType::kS8, scale.scale, scale.zero_point};
}

}  // namespace ridgewalk
