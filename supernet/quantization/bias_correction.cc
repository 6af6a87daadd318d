#include "supernet/quantization/bias_correction.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "space/error.h"
#include "space/fold.h"
#include "supernet/network/executor.h"
#include "supernet/quantization/quantized_executor.h"

namespace ridgewalk {
namespace {

// Adds `shift` [C], in real units, to the bias of an op.
void shift_bias(QuantizedNetwork& network, int index, const torch::Tensor& shift) {
  const QuantizedGraph& quantized = network.quantized;
  const Op& op = quantized.graph.ops[size_t(index)];
  torch::Tensor& bias = network.tensors.at(op.name + ".bias");
  const auto& input = quantized.values[size_t(op.inputs[0])];
  if (!input) {
    bias = (bias.to(torch::kDouble) + shift).to(torch::kFloat);
    return;
  }
  const WeightScale& scale = *quantized.weights[size_t(index)];
  const torch::Tensor steps = quantized_bias(shift, input->scale, scale);
  bias = (bias.to(torch::kDouble) + steps.to(torch::kDouble))
             .clamp(-kLargestBias, kLargestBias)
             .to(torch::kInt);
}

// [N, C, H, W] or [N, C] -> [C].
torch::Tensor channel_means(const torch::Tensor& value) {
  const torch::Tensor rows = value.dim() == 4 ? value.permute({1, 0, 2, 3}) : value.t();
  return rows.flatten(1).mean(1, false, torch::kDouble);
}

// The distribution of each channel of a value: [C] both.
struct Gaussian {
  torch::Tensor mean, deviation;
};

// Of activation(x) where x is Gaussian, by the trapezoidal rule over six deviations to either side.
Gaussian through(const Op& activation, const Gaussian& x) {
  constexpr int kSteps = 240;
  constexpr double kWidth = 6;
  const int64_t channels = x.mean.size(0);
  Gaussian result{torch::zeros({channels}, torch::kDouble),
                  torch::zeros({channels}, torch::kDouble)};
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = x.mean.data_ptr<double>()[c];
    const double deviation = x.deviation.data_ptr<double>()[c];
    double sum = 0, squares = 0, all = 0;
    for (int i = 0; i <= kSteps; ++i) {
      const double z = kWidth * (2.0 * i / kSteps - 1), weight = std::exp(-z * z / 2);
      const double y = elementwise(activation, mean + deviation * z);
      sum += weight * y;
      squares += weight * y * y;
      all += weight;
    }
    const double own = sum / all;
    result.mean.data_ptr<double>()[c] = own;
    result.deviation.data_ptr<double>()[c] = std::sqrt(std::max(squares / all - own * own, 0.0));
  }
  return result;
}

// After the last norm or layer scale that was folded into an op.
std::optional<Gaussian> after_norm(const Graph& graph, const ParameterStore& parameters,
                                   const std::vector<int>& origins) {
  std::optional<Gaussian> value;
  for (int origin : origins) {
    const Op& op = graph.ops[size_t(origin)];
    const auto own = [&](const char* suffix) {
      return parameters.full(op.name + suffix).cpu().to(torch::kDouble);
    };
    if (op.kind == OpKind::kNorm) {
      value = Gaussian{own(".bias").clone(), own(".weight").abs()};
    } else if (op.kind == OpKind::kLayerScale && value) {
      value = Gaussian{value->mean * own(".gamma"), value->deviation * own(".gamma").abs()};
    }
  }
  return value;
}

// One per op of the folded graph, where it is known.
std::vector<std::optional<Gaussian>> gaussians(const Graph& graph,
                                               const ParameterStore& parameters) {
  const FoldedGraph folded = fold_norms(graph);
  std::vector<std::optional<Gaussian>> values(folded.graph.ops.size());
  for (size_t i = 1; i < values.size(); ++i) {
    const Op& op = folded.graph.ops[i];
    const std::optional<Gaussian>& x = values[size_t(op.inputs[0])];
    switch (op.kind) {
      case OpKind::kActivation:
        if (x) values[i] = through(op, *x);
        break;
      case OpKind::kAdd:
        if (const auto& skip = values[size_t(op.inputs[1])]; x && skip) {
          values[i] = {x->mean + skip->mean, torch::hypot(x->deviation, skip->deviation)};
        }
        break;
      case OpKind::kPool:
      case OpKind::kUpsample:
        values[i] = x;
        break;
      default:
        values[i] = after_norm(graph, parameters, folded.origins[i]);
        break;
    }
  }
  return values;
}

// The share of output positions at which each tap of a window lies within the input's `size`:
// [kernel].
torch::Tensor share_inside(const Op& op, int64_t outputs, int64_t size) {
  std::vector<double> shares;
  for (int64_t tap = 0; tap < op.kernel; ++tap) {
    int64_t inside = 0;
    for (int64_t o = 0; o < outputs; ++o) {
      const int64_t place = o * op.stride - (op.kernel - 1) / 2 + tap;
      inside += place >= 0 && place < size;
    }
    shares.push_back(double(inside) / double(outputs));
  }
  return torch::tensor(shares, torch::kDouble);
}

// What the rounded weights of an op add to the mean of its output: [C].
torch::Tensor weight_shift(const QuantizedNetwork& network, const Network& folded, int index,
                           const Gaussian& input) {
  const Op& op = network.quantized.graph.ops[size_t(index)];
  const torch::Tensor weight =
      folded.parameters.full(parameter_prefix(folded.graph.ops[size_t(index)]) + ".weight")
          .cpu()
          .to(torch::kDouble);
  const torch::Tensor rounded = real_weight(network.tensors.at(op.name + ".weight"),
                                            *network.quantized.weights[size_t(index)]);
  torch::Tensor error = rounded - weight;
  if (op.kind != OpKind::kLinear) {  // taps on the padding add nothing
    const Shape& from = network.quantized.graph.ops[size_t(op.inputs[0])].output;
    error = error * share_inside(op, op.output.height, from.height).view({-1, 1}) *
            share_inside(op, op.output.width, from.width);
  }
  const int64_t groups = groups_of(op), in = weight.size(1);
  error = error.reshape({groups, weight.size(0) / groups, in, -1}).sum(3);  // of each group
  return error.matmul(input.mean.view({groups, in, 1})).flatten();
}

}  // namespace

void correct_biases(QuantizedNetwork& network, Network& folded, const CalibrationBatches& batches) {
  at::NoGradGuard no_grad;
  const std::vector<Op>& ops = network.quantized.graph.ops;
  const torch::Tensor images = first_images(batches, folded.graph);
  std::vector<torch::Tensor> expected(ops.size());  // means
  Executor exact(folded.graph, folded.parameters);
  size_t next = 1;
  exact.observe([&](const Op& op, const torch::Tensor& value) {
    if (multiplies_weights(op.kind)) expected[next] = channel_means(value);
    ++next;
  });
  exact.forward(images, NormMode::kRunning);

  QuantizedExecutor executor(network);
  executor.run_each(images, [&](int i, const torch::Tensor& value) {
    if (!network.quantized.weights[size_t(i)] || !ops[size_t(i)].bias) return false;
    shift_bias(network, i, expected[size_t(i)] - channel_means(value));
    executor.set_tensor(i, ".bias", network.tensors.at(ops[size_t(i)].name + ".bias"));
    return true;
  });
}

int correct_biases(QuantizedNetwork& network, const Network& folded, const Graph& graph,
                   const ParameterStore& parameters) {
  at::NoGradGuard no_grad;
  const auto inputs = gaussians(graph, parameters);
  int corrected = 0;
  for (size_t i = 0; i < network.quantized.graph.ops.size(); ++i) {
    const Op& op = network.quantized.graph.ops[i];
    if (!network.quantized.weights[i] || !op.bias) continue;
    const std::optional<Gaussian>& input = inputs[size_t(op.inputs[0])];
    if (!input) continue;
    shift_bias(network, int(i), -weight_shift(network, folded, int(i), *input));
    ++corrected;
  }
  return corrected;
}

}  // namespace ridgewalk
