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

dnnl::post_ops scaled(float factor) {
  dnnl::post_ops post_ops;
  onednn::append_eltwise(post_ops, algorithm::eltwise_linear, factor, 0);
  return post_ops;
}

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

OpCompiler::Desc OpCompiler::transposed(Value matrix) const {
  const Dims d = onednn::sizes(layout(matrix));
  return {{d[0], d[2], d[1]}, onednn::type_of(layout(matrix)), Dims{d[1] * d[2], 1, d[2]}};
}

// Of integers that are multiplied, what is stored; else what the network computes in.
OpCompiler::Type OpCompiler::product_type(int index) const {
  return has_integer_inputs(index) && scale_of(index) ? stored_type(*scale_of(index)) : type_;
}

// Left times right, times `factor`. Integers are those of the op's inputs, and rounded where the
// product is integers.
std::string OpCompiler::matrix_product(int index, Value left, Value right, double factor,
                                       Value product) {
  const bool are_integers = onednn::type_of(layout(left)) != type_;
  if (are_integers) {
    factor *= double(input_scale(index)->scale) * double(input_scale(index, 1)->scale);
  }
  const bool is_rounded = onednn::type_of(layout(product)) != type_;
  const float scale = is_rounded ? multiplier(factor, *scale_of(index)) : float(factor);
  if (are_integers && !onednn::adds_exactly()) {
    return exact_matrix_product(index, left, right, scale, product);
  }
  dnnl::post_ops post_ops;
  if (is_rounded || factor != 1) post_ops = scaled(scale);
  const auto chosen =
      onednn::describe<dnnl::matmul>(program_.engine(), Program::attributes(post_ops), layout(left),
                                     layout(right), layout(product));
  program_.add<dnnl::matmul>(
      chosen, {{DNNL_ARG_SRC, left}, {DNNL_ARG_WEIGHTS, right}, {DNNL_ARG_DST, product}});
  return chosen.impl_info_str();
}

void OpCompiler::end_product(int index, Value value, const std::string& kernel) {
  if (has_integer_inputs(index)) return end_integer_step({index}, value, kernel);
  store({index}, value, kernel);
}

void OpCompiler::attention_scores(int index) {
  const bool is_integer = has_integer_inputs(index);
  const Value query = as_matrix(is_integer ? input(index) : real(index), op(index).heads);
  const Value key = as_matrix(is_integer ? input(index, 1) : real(index, 1), 1);
  const Dims q = onednn::sizes(layout(query)), k = onednn::sizes(layout(key));
  const Value scores = program_.value({{batch_, q[1], k[1]}, product_type(index), Tag::abc});
  end_product(index, scores,
              matrix_product(index, query, program_.alias(key, transposed(key)),
                             1 / std::sqrt(double(q[2])), scores));
}

void OpCompiler::attention_mix(int index) {
  const bool is_integer = has_integer_inputs(index);
  const Value weights = is_integer ? input(index) : real(index);
  const Value value = as_matrix(is_integer ? input(index, 1) : real(index, 1), 1);
  const Dims w = onednn::sizes(layout(weights)), v = onednn::sizes(layout(value));
  const Type type = product_type(index);
  const Value mixed = program_.value({{batch_, w[1], v[2]}, type, Tag::abc});
  const std::string kernel = matrix_product(index, weights, value, 1, mixed);
  end_product(index, program_.alias(mixed, activations(op(index).output, type)), kernel);
}

// Some rows of some of the matrices [N, R, C] that `value` holds.
OpCompiler::Value OpCompiler::part(Value value, int64_t image, int64_t row, int64_t images,
                                   int64_t rows) {
  const Dims d = onednn::sizes(layout(value));
  const Type type = onednn::type_of(layout(value));
  const size_t start = size_t((image * d[1] + row) * d[2]);
  const Dims strides{d[1] * d[2], d[2], 1};
  return program_.alias(value, {{images, rows, d[2]}, type, strides},
                        start * dnnl::memory::data_type_size(type));
}

bool OpCompiler::multiplies_integers(const InferenceStep& attention) const {
  return has_integer_inputs(attention.ops[0]) && has_integer_inputs(attention.ops[2]);
}

// Scores, softmax and mix of a tile of queries after the other.
void OpCompiler::tiled_attention(const InferenceStep& step) {
  const int scores = step.ops[0], softmax = step.ops[1], mix = step.ops[2];
  const bool is_integer = multiplies_integers(step);
  const auto matrix = [&](int index, size_t i, int heads) {
    return as_matrix(is_integer ? input(index, i) : real(index, i), heads);
  };
  const Value queries = matrix(scores, 0, op(scores).heads), keys = matrix(scores, 1, 1);
  const Value values = matrix(mix, 1, 1);
  const int64_t rows = onednn::sizes(layout(queries))[1], count = op(scores).output.width;
  const int64_t value_dim = onednn::sizes(layout(values))[2];
  const Type mixed_type = is_integer ? product_type(mix) : type_;
  const Value mixed = program_.value({{batch_, rows, value_dim}, mixed_type, Tag::abc});
  const AttentionTile tile = attention_tile(batch_, rows, count);
  const auto of_tile = [&](int index) {
    const Type type = scale_of(index) ? stored_type(*scale_of(index)) : type_;
    return program_.value({{tile.images, tile.rows, count}, type, Tag::abc});
  };
  const Value all_scores = of_tile(scores), all_weights = of_tile(softmax);
  const auto begin = [&](Value value, int64_t images, int64_t height) {
    const Type type = onednn::type_of(layout(value));
    return program_.alias(value, {{images, height, count}, type, Tag::abc});
  };
  std::string kernel;
  for (int64_t n = 0; n < batch_; n += tile.images) {
    const int64_t images = std::min(tile.images, batch_ - n);
    for (int64_t r = 0; r < rows; r += tile.rows) {
      const int64_t height = std::min(tile.rows, rows - r);
      kernel = attend_tile(step, {.queries = part(queries, n, r, images, height),
                                  .keys = part(keys, n, 0, images, count),
                                  .values = part(values, n, 0, images, count),
                                  .scores = begin(all_scores, images, height),
                                  .weights = begin(all_weights, images, height),
                                  .mixed = part(mixed, n, r, images, height)});
    }
  }
  const Value image = program_.alias(mixed, activations(op(mix).output, mixed_type));
  if (is_integer) return end_integer_step(step.ops, image, kernel);
  store(step.ops, image, kernel);
}

std::string OpCompiler::attend_tile(const InferenceStep& step, const Tile& tile) {
  const double key_dim = double(onednn::sizes(layout(tile.keys))[2]);
  const Value right = program_.alias(tile.keys, transposed(tile.keys));
  std::string kernel =
      matrix_product(step.ops[0], tile.queries, right, 1 / std::sqrt(key_dim), tile.scores);
  softmax(tile.scores, tile.weights, scale_of(step.ops[1]));
  matrix_product(step.ops[2], tile.weights, tile.values, 1, tile.mixed);
  return kernel;
}

}  // namespace ridgewalk
