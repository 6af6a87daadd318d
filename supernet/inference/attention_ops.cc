// Attention: one key head serves all query heads, so the queries of every position and head form
// one matrix.
#include <algorithm>
#include <cmath>

#include "space/attention_tile.h"
#include "supernet/inference/op_compiler.h"
#include "supernet/quantization/integer_arithmetic.h"

namespace ridgewalk {

using dnnl::algorithm;
using Tag = dnnl::memory::format_tag;

namespace {

using Desc = dnnl::memory::desc;

Desc transposed(const Desc& matrix) {
  const dnnl::memory::dims d = onednn::sizes(matrix);
  return {{d[0], d[2], d[1]}, onednn::type_of(matrix), Tag::acb};
}

dnnl::post_ops scaled(float factor) {
  dnnl::post_ops post_ops;
  onednn::append_eltwise(post_ops, algorithm::eltwise_linear, factor, 0);
  return post_ops;
}

float score_scale(int64_t key_dim) { return float(1 / std::sqrt(double(key_dim))); }

}  // namespace

struct OpCompiler::Tile {
  Value queries, keys, values, scores, weights, mixed;
};

// An image of [C, H, W] as a matrix [H W heads, C / heads]: in channels last it already is one.
OpCompiler::Value OpCompiler::as_matrix(Value value, int heads) {
  const Dims d = onednn::sizes(layout(value));
  return program_.alias(
      value, {{d[0], d[2] * d[3] * heads, d[1] / heads}, onednn::type_of(layout(value)), Tag::abc});
}

// Left times right, times `factor`; integers are those of the op's inputs.
OpCompiler::Product OpCompiler::matrix_product(int index, Value left, Value right, double factor) {
  const std::optional<ValueScale>& sum = scale_of(index);
  const bool is_integer = has_integer_inputs(index);
  const bool is_rounded = is_integer && sum;
  dnnl::post_ops post_ops;
  if (is_integer || factor != 1) {
    post_ops = scaled(is_rounded ? multiplier(factor, *sum) : float(factor));
  }
  const Desc output({batch_, onednn::sizes(layout(left))[1], onednn::sizes(layout(right))[2]},
                    is_rounded ? stored_type(*sum) : type_, Tag::abc);
  const auto chosen = onednn::describe<dnnl::matmul>(
      program_.engine(), Program::attributes(post_ops), layout(left), layout(right), output);
  const Value result = program_.value(output);
  program_.add<dnnl::matmul>(
      chosen, {{DNNL_ARG_SRC, left}, {DNNL_ARG_WEIGHTS, right}, {DNNL_ARG_DST, result}});
  return {result, chosen.impl_info_str(), is_integer, is_rounded};
}

void OpCompiler::end_product(int index, const Product& product, Value value) {
  if (product.is_rounded || (product.is_integer && !scale_of(index))) {
    return end_integer_step({index}, value, product.kernel);
  }
  store({index}, value, product.kernel);
}

// What the integers of both inputs stand for, multiplied; 1 where they are real numbers.
double OpCompiler::product_scale(int index) const {
  if (!has_integer_inputs(index)) return 1;
  return double(input_scale(index)->scale) * double(input_scale(index, 1)->scale);
}

void OpCompiler::attention_scores(int index) {
  const bool is_integer = has_integer_inputs(index);
  const Value query = as_matrix(is_integer ? input(index) : real(index), op(index).heads);
  const Value key = as_matrix(is_integer ? input(index, 1) : real(index, 1), 1);
  const double key_dim = double(onednn::sizes(layout(query))[2]);
  const Product product = matrix_product(index, query, program_.alias(key, transposed(layout(key))),
                                         product_scale(index) / std::sqrt(key_dim));
  end_product(index, product, product.value);
}

void OpCompiler::attention_mix(int index) {
  const bool is_integer = has_integer_inputs(index);
  const Value weights = is_integer ? input(index) : real(index);
  const Value value = as_matrix(is_integer ? input(index, 1) : real(index, 1), 1);
  const Product product = matrix_product(index, weights, value, product_scale(index));
  const Type type = onednn::type_of(layout(product.value));
  end_product(index, product, program_.alias(product.value, activations(op(index).output, type)));
}

// Some rows of some of the matrices [N, R, C] that `value` holds.
OpCompiler::Value OpCompiler::part(Value value, int64_t image, int64_t row, int64_t images,
                                   int64_t rows) {
  const Dims d = onednn::sizes(layout(value));
  const size_t bytes = (type_ == Type::bf16 ? 2 : 4) * size_t((image * d[1] + row) * d[2]);
  const Dims strides{d[1] * d[2], d[2], 1};
  return program_.alias(value, {{images, rows, d[2]}, type_, strides}, bytes);
}

// Scores, softmax and mix of a tile of queries after the other.
void OpCompiler::tiled_attention(const InferenceStep& step) {
  const int scores = step.ops[0], index = step.ops[2];
  const Op& o = op(scores);
  const Value queries = as_matrix(real(scores), o.heads);
  const Value keys = as_matrix(real(scores, 1), 1), values = as_matrix(real(index, 1), 1);
  const int64_t rows = onednn::sizes(layout(queries))[1], count = o.output.width;
  const int64_t value_dim = onednn::sizes(layout(values))[2];
  const Value mixed = program_.value({{batch_, rows, value_dim}, type_, Tag::abc});
  const AttentionTile tile = attention_tile(batch_, rows, count);
  const Desc whole({tile.images, tile.rows, count}, type_, Tag::abc);
  const Value tile_scores = program_.value(whole), tile_weights = program_.value(whole);
  std::string kernel;
  for (int64_t n = 0; n < batch_; n += tile.images) {
    const int64_t images = std::min(tile.images, batch_ - n);
    for (int64_t r = 0; r < rows; r += tile.rows) {
      const int64_t height = std::min(tile.rows, rows - r);
      const Desc scored({images, height, count}, type_, Tag::abc);
      kernel = attend_tile({.queries = part(queries, n, r, images, height),
                            .keys = part(keys, n, 0, images, count),
                            .values = part(values, n, 0, images, count),
                            .scores = program_.alias(tile_scores, scored),
                            .weights = program_.alias(tile_weights, scored),
                            .mixed = part(mixed, n, r, images, height)});
    }
  }
  const Value image = program_.alias(mixed, activations(op(index).output));
  store(step.ops, image, kernel);
}

std::string OpCompiler::attend_tile(const Tile& tile) {
  const Dims d = onednn::sizes(layout(tile.keys));
  const Desc right({d[0], d[2], d[1]}, type_, Dims{d[1] * d[2], 1, d[2]});
  const auto product = onednn::describe<dnnl::matmul>(
      program_.engine(), Program::attributes(scaled(score_scale(d[2]))), layout(tile.queries),
      right, layout(tile.scores));
  program_.add<dnnl::matmul>(product, {{DNNL_ARG_SRC, tile.queries},
                                       {DNNL_ARG_WEIGHTS, program_.alias(tile.keys, right)},
                                       {DNNL_ARG_DST, tile.scores}});
  const Desc scored = layout(tile.scores);
  const auto softmax =
      onednn::describe<onednn::Softmax>(program_.engine(), Program::attributes(), kInference,
                                        algorithm::softmax_accurate, scored, scored, 2);
  program_.add<onednn::Softmax>(softmax,
                                {{DNNL_ARG_SRC, tile.scores}, {DNNL_ARG_DST, tile.weights}});
  const auto mix = onednn::describe<dnnl::matmul>(program_.engine(), Program::attributes(), scored,
                                                  layout(tile.values), layout(tile.mixed));
  program_.add<dnnl::matmul>(
      mix,
      {{DNNL_ARG_SRC, tile.weights}, {DNNL_ARG_WEIGHTS, tile.values}, {DNNL_ARG_DST, tile.mixed}});
  return product.impl_info_str();
}

}  // namespace ridgewalk
