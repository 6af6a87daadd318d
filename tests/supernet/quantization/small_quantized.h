// Small networks with the ranges of their values, to quantise.
#pragma once

#include <vector>

#include "space/lowering.h"
#include "supernet/network/executor.h"
#include "supernet/quantization/rewrite.h"
#include "tests/formula_weights.h"
#include "tests/grouped_network.h"

namespace ridgewalk {

// What each op of a folded network gives for these images, from the least to the largest.
inline std::vector<ValueRange> ranges_of(Network& folded, const torch::Tensor& images) {
  std::vector<ValueRange> ranges{{images.min().item<double>(), images.max().item<double>()}};
  Executor executor(folded.graph, folded.parameters);
  executor.observe([&](const Op&, const torch::Tensor& value) {
    ranges.push_back({value.min().item<double>(), value.max().item<double>()});
  });
  at::NoGradGuard no_grad;
  executor.forward(images, NormMode::kRunning);
  return ranges;
}

// 2x2 image -> 1x1 convolution to two channels -> ReLU -> global pool -> linear layer.
inline Network two_layers() {
  Graph graph{.name = "two layers", .ops = {}};
  graph.ops = {
      {.kind = OpKind::kInput, .name = "image", .output = {1, 2, 2}},
      {.kind = OpKind::kConv, .name = "conv", .inputs = {0}, .output = {2, 2, 2}, .bias = true},
      {.kind = OpKind::kActivation,
       .name = "relu",
       .inputs = {1},
       .output = {2, 2, 2},
       .activation = Activation::kRelu},
      {.kind = OpKind::kPool, .name = "pool", .inputs = {2}, .output = {2, 1, 1}},
      {.kind = OpKind::kLinear,
       .name = "linear",
       .inputs = {3},
       .output = {2, 1, 1},
       .bias = true}};
  ParameterStore store(graph);
  const auto set = [&](const char* name, const std::vector<float>& values) {
    store.full(name).view({-1}).copy_(torch::tensor(values));
  };
  set("conv.weight", {2, -0.5});
  set("conv.bias", {0.1f, 0.2f});
  set("linear.weight", {1, -1, 0.5, 0.3f});
  set("linear.bias", {0, 0.01f});
  return {graph, std::move(store)};
}

// grouped_network(), folded.
inline Network folded_groups() {
  const Graph graph = lower(grouped_network());
  ParameterStore store(graph);
  fill(store);
  return fold_norms(graph, store);
}

inline torch::Tensor fp32_logits(Network& folded, const torch::Tensor& images) {
  at::NoGradGuard no_grad;
  return Executor(folded.graph, folded.parameters).forward(images, NormMode::kRunning);
}

}  // namespace ridgewalk
