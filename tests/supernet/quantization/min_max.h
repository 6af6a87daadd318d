// A quantisation by the smallest and largest value of each op, as plain as can be: something to
// store, to write and to run. What networks are really quantised by stands in
// supernet/quantization.
#pragma once

#include <algorithm>
#include <cmath>

#include "supernet/formats/weights.h"
#include "supernet/network/executor.h"
#include "supernet/quantization/quantized_network.h"

namespace ridgewalk {

inline ValueScale min_max_scale(const torch::Tensor& value, IntegerType type) {
  const double low = std::min(0.0, value.min().item<double>());
  const double high = std::max({0.0, value.max().item<double>(), low + 1e-3});
  const float scale = float((high - low) / 255);
  const int lowest = type == IntegerType::kU8 ? 0 : -128;
  const int zero = lowest + int(std::lround(-low / scale));
  return {.type = type, .scale = scale, .zero_point = zero, .rule = "smallest and largest value"};
}

inline bool is_relu(const Op& op) {
  return op.kind == OpKind::kActivation &&
         (op.activation == Activation::kRelu || op.activation == Activation::kRelu6);
}

// Whether ops[i] and the ReLU that alone reads it are one step.
inline bool is_read_by_one_relu(const Graph& graph, int i) {
  const auto reads = [&](const Op& op) { return std::ranges::count(op.inputs, i) > 0; };
  return use_counts(graph)[size_t(i)] == 1 &&
         std::ranges::any_of(graph.ops, [&](const Op& op) { return is_relu(op) && reads(op); });
}

inline bool is_product(OpKind kind) {
  return kind == OpKind::kConv || kind == OpKind::kDepthwise || kind == OpKind::kLinear;
}

inline void quantize_weights(int i, bool per_channel, const ParameterStore& store,
                             QuantizedNetwork& network) {
  const Graph& graph = network.quantized.graph;
  const Op& op = graph.ops[size_t(i)];
  const std::string& prefix = parameter_prefix(op);
  const torch::Tensor weight = store.full(prefix + ".weight");
  const torch::Tensor rows = weight.flatten(1).abs();
  torch::Tensor scale = (per_channel ? rows.amax(1) : rows.max().view({1})) / 127 + 1e-6;
  scale = scale.to(torch::kFloat).contiguous();
  std::vector<int64_t> column(size_t(weight.dim()), 1);
  column[0] = scale.numel();
  network.tensors[prefix + ".weight"] =
      (weight / scale.view(column)).round().clamp(-127, 127).to(torch::kChar);
  const auto* begin = scale.data_ptr<float>();
  network.quantized.weights[size_t(i)] = {.scales = {begin, begin + scale.numel()},
                                          .rule = "largest magnitude"};
  const auto& input = network.quantized.values[size_t(op.inputs[0])];
  if (!input || !op.bias) return;
  const torch::Tensor products = (scale * input->scale).to(torch::kDouble);
  network.tensors[prefix + ".bias"] =
      (store.full(prefix + ".bias").to(torch::kDouble) / products).round().to(torch::kInt);
}

// Logits, the scores of attention and their softmax stay fp32; everything else is u8 (`type`).
inline QuantizedNetwork min_max_quantized(Network& folded, const torch::Tensor& images,
                                          IntegerType type = IntegerType::kU8,
                                          bool per_channel = true) {
  at::NoGradGuard no_grad;
  QuantizedNetwork network{.quantized = {.graph = folded.graph, .values = {}, .weights = {}},
                           .tensors = {}};
  QuantizedGraph& quantized = network.quantized;
  const int last = int(quantized.graph.ops.size()) - 1;
  quantized.values.resize(size_t(last) + 1);
  quantized.weights.resize(size_t(last) + 1);
  std::map<std::string, torch::Tensor> outputs;
  Executor executor(folded.graph, folded.parameters);
  executor.observe(
      [&](const Op& op, const torch::Tensor& output) { outputs[op.name] = output.clone(); });
  executor.forward(images.contiguous(torch::MemoryFormat::ChannelsLast), NormMode::kRunning);
  for (const Parameter& parameter : folded.parameters.parameters()) {
    network.tensors[parameter.name] = folded.parameters.full(parameter.name).clone();
  }
  quantized.values[0] = min_max_scale(images, type);
  for (int i = 1; i <= last; ++i) {
    const Op& op = quantized.graph.ops[size_t(i)];
    const bool stays = op.kind == OpKind::kAttentionScores || op.kind == OpKind::kSoftmax ||
                       i == last || (is_product(op.kind) && is_read_by_one_relu(folded.graph, i));
    if (!stays) quantized.values[size_t(i)] = min_max_scale(outputs.at(op.name), type);
    if (is_product(op.kind)) quantize_weights(i, per_channel, folded.parameters, network);
  }
  return network;
}

}  // namespace ridgewalk
