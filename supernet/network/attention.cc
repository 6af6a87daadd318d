#include "supernet/network/attention.h"

#include <algorithm>
#include <cmath>

#include <torch/csrc/autograd/custom_function.h>

namespace ridgewalk {
namespace {

// [N, C, H, W] -> [N, H W, C]: a view of a channels_last tensor.
torch::Tensor positions_first(const torch::Tensor& x) {
  return x.permute({0, 2, 3, 1}).reshape({x.size(0), x.size(2) * x.size(3), x.size(1)});
}

torch::Tensor key_rows(const torch::Tensor& key, int64_t kv_heads) {
  return rows_of_heads(key, kv_heads, key.size(1) / kv_heads);
}

double scale_of(const torch::Tensor& rows) { return 1 / std::sqrt(double(rows.size(2))); }

torch::Tensor scores_of(const torch::Tensor& rows, const torch::Tensor& keys) {
  return torch::bmm(rows * scale_of(rows), keys.transpose(1, 2));
}

// The scores are let go before anything else is computed.
torch::Tensor weights_of(const torch::Tensor& rows, const torch::Tensor& keys) {
  return torch::softmax(scores_of(rows, keys), -1);
}

// Calls `compute` with a function that cuts [N, rows, ...] to a tile, and one that cuts
// [N, keys, ...] to its images.
template <class Compute>
void for_each_tile(const torch::Tensor& rows, const torch::Tensor& keys, int64_t most,
                   Compute compute) {
  const auto [images, height] = attention_tile(rows.size(0), rows.size(1), keys.size(1), most);
  for (int64_t n = 0; n < rows.size(0); n += images) {
    const int64_t images_here = std::min(images, rows.size(0) - n);
    const auto of_images = [&](const torch::Tensor& x) { return x.narrow(0, n, images_here); };
    for (int64_t r = 0; r < rows.size(1); r += height) {
      const int64_t rows_here = std::min(height, rows.size(1) - r);
      compute([&](const torch::Tensor& x) { return of_images(x).narrow(1, r, rows_here); },
              of_images);
    }
  }
}

// rows [N, R, d], keys [N, M, d], values [N, M, e] -> [N, R, e]. Keeps no scores: the backward pass
// computes each tile of them again.
class TiledAttention : public torch::autograd::Function<TiledAttention> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& rows,
                               const torch::Tensor& keys, const torch::Tensor& values,
                               int64_t most) {
    context->save_for_backward({rows, keys, values});
    context->saved_data["most"] = most;
    torch::Tensor mixed;
    for_each_tile(rows, keys, most, [&](const auto& of_tile, const auto& of_images) {
      const auto weights = weights_of(of_tile(rows), of_images(keys));
      const auto tile = torch::bmm(weights, of_images(values));
      if (!mixed.defined()) {  // in the type that autocast has chosen
        mixed = torch::empty({rows.size(0), rows.size(1), values.size(2)}, tile.options());
      }
      of_tile(mixed).copy_(tile);
    });
    return mixed;
  }

  // With P = softmax(S), S = scale Q K', O = P V:
  //   dV = P' dO, dP = dO V', dS = P (dP - sum(P dP)), dQ = scale dS K, dK = scale dS' Q.
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const torch::Tensor& given = gradients[0];
    const auto saved = context->get_saved_variables();
    const auto as_given = [&](const torch::Tensor& x) { return x.to(given.scalar_type()); };
    const torch::Tensor rows = as_given(saved[0]), keys = as_given(saved[1]),
                        values = as_given(saved[2]);
    const double scale = scale_of(rows);
    torch::Tensor d_rows = torch::empty_like(rows), d_keys = torch::zeros_like(keys),
                  d_values = torch::zeros_like(values);
    for_each_tile(
        rows, keys, context->saved_data["most"].toInt(),
        [&](const auto& of_tile, const auto& of_images) {
          const torch::Tensor weights = weights_of(of_tile(rows), of_images(keys));
          of_images(d_values).add_(torch::bmm(weights.transpose(1, 2), of_tile(given)));
          torch::Tensor d_scores = torch::bmm(of_tile(given), of_images(values).transpose(1, 2));
          d_scores.sub_((d_scores * weights).sum(-1, true)).mul_(weights);
          of_tile(d_rows).copy_(torch::bmm(d_scores, of_images(keys)).mul_(scale));
          of_images(d_keys).add_(torch::bmm(d_scores.transpose(1, 2), of_tile(rows)).mul_(scale));
        });
    return {d_rows.to(saved[0].scalar_type()), d_keys.to(saved[1].scalar_type()),
            d_values.to(saved[2].scalar_type()), torch::Tensor()};
  }
};

}  // namespace

// The queries of all positions and heads that one key head serves are one matrix, so that the
// scores are a single product (MobileNetV4, appendix G).
torch::Tensor rows_of_heads(const torch::Tensor& x, int64_t heads, int64_t d) {
  const torch::Tensor positions = positions_first(x);
  return positions.reshape({x.size(0), positions.size(1), heads, x.size(1) / heads})
      .transpose(1, 2)
      .reshape({x.size(0) * heads, -1, d});
}

torch::Tensor image_of_heads(const torch::Tensor& rows, const Shape& output, int64_t heads) {
  const int64_t images = rows.size(0) / heads, positions = int64_t{output.height} * output.width;
  return rows.reshape({images, heads, positions, output.channels / heads})
      .transpose(1, 2)
      .reshape({images, output.height, output.width, output.channels})
      .permute({0, 3, 1, 2});
}

torch::Tensor attention_scores(const torch::Tensor& query, const torch::Tensor& key, int kv_heads) {
  const torch::Tensor keys = key_rows(key, kv_heads);
  const torch::Tensor scores = scores_of(rows_of_heads(query, kv_heads, keys.size(2)), keys);
  return scores.reshape({query.size(0), -1, scores.size(2)});
}

torch::Tensor attention_mix(const torch::Tensor& weights, const torch::Tensor& value,
                            const Shape& output, int kv_heads) {
  const torch::Tensor of_heads = weights.reshape({weights.size(0) * kv_heads, -1, weights.size(2)});
  return image_of_heads(torch::bmm(of_heads, key_rows(value, kv_heads)), output, kv_heads);
}

torch::Tensor attention(const torch::Tensor& query, const torch::Tensor& key,
                        const torch::Tensor& value, const Shape& output, int kv_heads,
                        int64_t tile) {
  const torch::Tensor keys = key_rows(key, kv_heads), values = key_rows(value, kv_heads);
  const torch::Tensor rows = rows_of_heads(query, kv_heads, keys.size(2));
  if (double(rows.size(0)) * double(rows.size(1)) * double(keys.size(1)) <= double(tile)) {
    return image_of_heads(torch::bmm(weights_of(rows, keys), values), output, kv_heads);
  }
  return image_of_heads(TiledAttention::apply(rows, keys, values, tile), output, kv_heads);
}

}  // namespace ridgewalk
