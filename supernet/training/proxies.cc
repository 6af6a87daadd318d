#include "supernet/training/proxies.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <ATen/CPUGeneratorImpl.h>
#include <torch/nn/functional/loss.h>

#include "supernet/network/executor.h"
#include "supernet/training/evaluate.h"

namespace ridgewalk {
namespace {

ParameterStore fresh_parameters(const Graph& graph, uint64_t seed) {
  ParameterStore parameters(graph);
  parameters.initialize(seed, Initialization::kResidual);
  return parameters;
}

// The sum over the learned tensors of what `figure` makes of values and gradient.
template <class Figure>
double sum_over(const Executor& network, Figure figure) {
  double sum = 0;
  for (const torch::Tensor& leaf : network.learned()) {
    if (leaf.grad().defined()) sum += figure(leaf.detach(), leaf.grad());
  }
  return sum;
}

// Leaves the gradients of the loss of a batch in a network of fresh weights.
double of_gradients(Proxy proxy, const Graph& graph, const Batch& batch, uint64_t seed) {
  ParameterStore parameters = fresh_parameters(graph, seed);
  const Executor network(graph, parameters);
  torch::nn::functional::cross_entropy(network.forward(batch.images, NormMode::kBatch),
                                       batch.labels)
      .backward();
  return sum_over(network, [&](const torch::Tensor& value, const torch::Tensor& gradient) {
    if (value.dim() < 2) return 0.0;  // of a norm, or a bias
    if (proxy == Proxy::kGradNorm) return gradient.norm().item<double>();
    return (value * gradient).abs().sum().item<double>();
  });
}

// Norms are left out: their input is passed on. Activations and sizes stay.
Graph without(OpKind kind, Graph graph) {
  for (Op& op : graph.ops) {
    for (int& input : op.inputs) {
      while (graph.ops[size_t(input)].kind == kind) input = graph.ops[size_t(input)].inputs[0];
    }
  }
  return graph;
}

double synflow(const Graph& graph, uint64_t seed) {
  const Graph plain = without(OpKind::kNorm, graph);
  ParameterStore parameters = fresh_parameters(plain, seed);
  {
    at::NoGradGuard no_grad;
    torch::Tensor values = parameters.values();
    values.abs_();
  }
  const Executor network(plain, parameters);
  const Shape& image = plain.ops[0].output;
  const torch::Tensor ones = torch::ones({1, image.channels, image.height, image.width});
  const torch::Tensor sum = network.forward(ones, NormMode::kBatch).sum();
  if (!std::isfinite(sum.item<double>())) return std::numeric_limits<double>::quiet_NaN();
  sum.backward();
  return std::log(sum_over(network, [](const torch::Tensor& value, const torch::Tensor& gradient) {
    return (value * gradient).abs().to(torch::kDouble).sum().item<double>();
  }));
}

double naswot(const Graph& graph, const Batch& batch, uint64_t seed) {
  at::NoGradGuard no_grad;
  ParameterStore parameters = fresh_parameters(graph, seed);
  Executor network(graph, parameters);
  const int64_t images = batch.images.size(0);
  torch::Tensor kernel = torch::zeros({images, images}, torch::kDouble);
  bool has_relu = false;
  network.observe([&](const Op& op, const torch::Tensor& value) {
    if (op.kind != OpKind::kActivation || op.activation != Activation::kRelu) return;
    has_relu = true;
    const torch::Tensor on = value.flatten(1).gt(0).to(torch::kFloat);
    const torch::Tensor off = 1 - on;
    kernel += (on.mm(on.t()) + off.mm(off.t())).to(torch::kDouble);
  });
  network.forward(batch.images, NormMode::kBatch);
  if (!has_relu) return std::numeric_limits<double>::quiet_NaN();
  return std::get<1>(torch::slogdet(kernel)).item<double>();
}

double zen(const Graph& graph, const Batch& batch, uint64_t seed) {
  constexpr double kShareOfNoise = 0.01;
  at::NoGradGuard no_grad;
  const Graph plain = without(OpKind::kAdd, graph);
  ParameterStore parameters = fresh_parameters(plain, seed);
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  for (const Parameter& parameter : parameters.parameters()) {
    torch::Tensor value = parameters.full(parameter.name);
    if (parameter.role == ParameterRole::kWeight) value.normal_(0, 1, generator);
  }
  Executor network(plain, parameters);
  const std::vector<Op>& ops = network.graph().ops;
  const auto pool =
      std::find_if(ops.begin(), ops.end(), [](const Op& op) { return op.name == "global_pool"; });
  const size_t last = pool == ops.end() ? ops.size() - 1 : size_t(pool->inputs[0]);
  torch::Tensor features;                     // what the pool reads
  std::map<size_t, torch::Tensor> convolved;  // by op, what norms are yet to read
  double scales = 0;
  network.observe([&](const Op& op, const torch::Tensor& value) {
    const size_t index = size_t(&op - ops.data());
    if (op.kind == OpKind::kConv || op.kind == OpKind::kDepthwise) convolved[index] = value;
    if (op.kind == OpKind::kNorm) {
      if (const auto read = convolved.extract(size_t(op.inputs[0]))) {
        const auto variances = read.mapped().var({0, 2, 3}, /*unbiased=*/false);
        scales += 0.5 * std::log(variances.mean().item<double>());
      }
    }
    if (index == last) features = value;
  });
  const torch::Tensor noise = torch::empty(batch.images.sizes()).normal_(0, 1, generator);
  const torch::Tensor other = torch::empty(batch.images.sizes()).normal_(0, 1, generator);
  const auto features_of = [&](const torch::Tensor& images) {
    scales = 0;
    convolved.clear();
    network.forward(images.contiguous(torch::MemoryFormat::ChannelsLast), NormMode::kBatch);
    return features;
  };
  const torch::Tensor changed = features_of(noise + kShareOfNoise * other);
  const torch::Tensor change = (features_of(noise) - changed).abs().sum({1, 2, 3}).mean();
  return std::log(change.item<double>()) + scales;
}

}  // namespace

double proxy(Proxy proxy, const Graph& graph, const Batch& batch, uint64_t seed) {
  switch (proxy) {
    case Proxy::kGradNorm:
    case Proxy::kSnip:
      return of_gradients(proxy, graph, batch, seed);
    case Proxy::kSynflow:
      return synflow(graph, seed);
    case Proxy::kNaswot:
      return naswot(graph, batch, seed);
    case Proxy::kZen:
      return zen(graph, batch, seed);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace ridgewalk
