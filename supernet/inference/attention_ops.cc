// Attention: the queries of every position and of all heads that one key head serves form one
// matrix.
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

// One [rows, columns] for each image; numbers of a row lie side by side.
struct OpCompiler::Matrix {
  Value value;
  int64_t image_stride, row_stride;
};

// What one key head and the queries that it serves are computed from, and where the result goes.
struct OpCompiler::Head {
  Matrix queries, keys, values, mixed;
  Value scores, weights;  // of a tile
};

struct OpCompiler::Tile {
  Matrix queries, keys, values;
  Value scores, weights, mixed;
};

// Of an image [C, H, W] the channels of one of `heads`, as a matrix [H W rows_of_position, ...]. In
// channels last it already is one: dense if there is one head, else with the others' channels
// between its rows.
OpCompiler::Matrix OpCompiler::rows_of_head(Value image, int head, int heads,
                                            int rows_of_position) {
  const Dims d = onednn::sizes(layout(image));
  const Type type = onednn::type_of(layout(image));
  const int64_t columns = d[1] / heads / rows_of_position, row_stride = d[1] / rows_of_position;
  const Dims sizes{d[0], d[2] * d[3] * rows_of_position, columns};
  const Dims strides{d[1] * d[2] * d[3], row_stride, 1};
  const size_t start = size_t(head * columns) * dnnl::memory::data_type_size(type);
  return {program_.alias(image, {sizes, type, strides}, start), strides[0], strides[1]};
}

// Of a map [N, R, M] the rows of one of `heads`.
OpCompiler::Matrix OpCompiler::rows_of_map(Value map, int head, int heads) {
  const Dims d = onednn::sizes(layout(map));
  const Matrix whole{map, d[1] * d[2], d[2]};
  return part(whole, 0, head * (d[1] / heads), d[0], d[1] / heads);
}

OpCompiler::Value OpCompiler::transposed(const Matrix& matrix) {
  const Dims d = onednn::sizes(layout(matrix.value));
  const Type type = onednn::type_of(layout(matrix.value));
  return program_.alias(
      matrix.value, {{d[0], d[2], d[1]}, type, Dims{matrix.image_stride, 1, matrix.row_stride}});
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
  const Value query = is_integer ? input(index) : real(index);
  const Value key = is_integer ? input(index, 1) : real(index, 1);
  const Shape& map = op(index).output;
  const int heads = op(index).kv_heads;
  const Value scores = program_.value(
      {{batch_, int64_t{map.channels} * map.height, map.width}, product_type(index), Tag::abc});
  std::string kernel;
  for (int head = 0; head < heads; ++head) {
    const Value rows = rows_of_head(query, head, heads, op(index).heads / heads).value;
    const double key_dim = double(onednn::sizes(layout(rows))[2]);
    kernel = matrix_product(index, rows, transposed(rows_of_head(key, head, heads, 1)),
                            1 / std::sqrt(key_dim), rows_of_map(scores, head, heads).value);
  }
  end_product(index, scores, kernel);
}

void OpCompiler::attention_mix(int index) {
  const bool is_integer = has_integer_inputs(index);
  const Value weights = is_integer ? input(index) : real(index);
  const Value value = is_integer ? input(index, 1) : real(index, 1);
  const int heads = op(index).kv_heads;
  const Value mixed = program_.value(activations(op(index).output, product_type(index)));
  std::string kernel;
  for (int head = 0; head < heads; ++head) {
    kernel = matrix_product(index, rows_of_map(weights, head, heads).value,
                            rows_of_head(value, head, heads, 1).value, 1,
                            rows_of_head(mixed, head, heads, op(index).heads / heads).value);
  }
  end_product(index, mixed, kernel);
}

// Some rows of some of the images.
OpCompiler::Matrix OpCompiler::part(const Matrix& matrix, int64_t image, int64_t row,
                                    int64_t images, int64_t rows) {
  const Dims d = onednn::sizes(layout(matrix.value));
  const Type type = onednn::type_of(layout(matrix.value));
  const size_t start = size_t(image * matrix.image_stride + row * matrix.row_stride);
  const Dims strides{matrix.image_stride, matrix.row_stride, 1};
  return {program_.alias(matrix.value, {{images, rows, d[2]}, type, strides},
                         start * dnnl::memory::data_type_size(type)),
          matrix.image_stride, matrix.row_stride};
}

bool OpCompiler::multiplies_integers(const InferenceStep& attention) const {
  return has_integer_inputs(attention.ops[0]) && has_integer_inputs(attention.ops[2]);
}

void OpCompiler::tiled_attention(const InferenceStep& step) {
  const int scores = step.ops[0], softmax = step.ops[1], mix = step.ops[2];
  const bool is_integer = multiplies_integers(step);
  const auto image = [&](int index, size_t i) {
    return is_integer ? input(index, i) : real(index, i);
  };
  const Value queries = image(scores, 0), keys = image(scores, 1), values = image(mix, 1);
  const int heads = op(scores).kv_heads, served = op(scores).heads / heads;
  const Shape& map = op(scores).output;
  const Type mixed_type = is_integer ? product_type(mix) : type_;
  const Value mixed = program_.value(activations(op(mix).output, mixed_type));
  const AttentionTile tile = attention_tile(batch_, int64_t{served} * map.height, map.width);
  const auto of_tile = [&](int index) {
    const Type type = scale_of(index) ? stored_type(*scale_of(index)) : type_;
    return program_.value({{tile.images, tile.rows, map.width}, type, Tag::abc});
  };
  const Value all_scores = of_tile(scores), all_weights = of_tile(softmax);
  std::string kernel;
  for (int head = 0; head < heads; ++head) {
    kernel = attend_head(step, {.queries = rows_of_head(queries, head, heads, served),
                                .keys = rows_of_head(keys, head, heads, 1),
                                .values = rows_of_head(values, head, heads, 1),
                                .mixed = rows_of_head(mixed, head, heads, served),
                                .scores = all_scores,
                                .weights = all_weights});
  }
  if (is_integer) return end_integer_step(step.ops, mixed, kernel);
  store(step.ops, mixed, kernel);
}

// Scores, softmax and mix of a tile of queries after the other.
std::string OpCompiler::attend_head(const InferenceStep& step, const Head& head) {
  const int64_t rows = onednn::sizes(layout(head.queries.value))[1];
  const int64_t count = onednn::sizes(layout(head.keys.value))[1];
  const AttentionTile tile = attention_tile(batch_, rows, count);
  const auto begin = [&](Value value, int64_t images, int64_t height) {
    const Type type = onednn::type_of(layout(value));
    return program_.alias(value, {{images, height, count}, type, Tag::abc});
  };
  std::string kernel;
  for (int64_t n = 0; n < batch_; n += tile.images) {
    const int64_t images = std::min(tile.images, batch_ - n);
    for (int64_t r = 0; r < rows; r += tile.rows) {
      const int64_t height = std::min(tile.rows, rows - r);
      kernel = attend_tile(step, {.queries = part(head.queries, n, r, images, height),
                                  .keys = part(head.keys, n, 0, images, count),
                                  .values = part(head.values, n, 0, images, count),
                                  .scores = begin(head.scores, images, height),
                                  .weights = begin(head.weights, images, height),
                                  .mixed = part(head.mixed, n, r, images, height).value});
    }
  }
  return kernel;
}

std::string OpCompiler::attend_tile(const InferenceStep& step, const Tile& tile) {
  const double key_dim = double(onednn::sizes(layout(tile.keys.value))[2]);
  std::string kernel = matrix_product(step.ops[0], tile.queries.value, transposed(tile.keys),
                                      1 / std::sqrt(key_dim), tile.scores);
  softmax(tile.scores, tile.weights, scale_of(step.ops[1]));
  matrix_product(step.ops[2], tile.weights, tile.values.value, 1, tile.mixed);
  return kernel;
}

}  // namespace ridgewalk
