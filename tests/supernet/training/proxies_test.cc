#include "supernet/training/proxies.h"

#include <cmath>

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include "supernet/network/parameters.h"

namespace ridgewalk {
namespace {

constexpr uint64_t kSeed = 3;

// 1 x 1 pixels: a 1x1 convolution of 2 to 3 channels, optionally ReLU, and a classifier of 2.
Graph two_layers(bool with_relu) {
  Graph graph{.name = "two layers", .ops = {}};
  graph.ops.push_back({.kind = OpKind::kInput, .name = "input", .output = {2, 1, 1}});
  graph.ops.push_back({.kind = OpKind::kConv, .name = "conv", .inputs = {0}, .output = {3, 1, 1}});
  int last = 1;
  if (with_relu) {
    graph.ops.push_back({.kind = OpKind::kActivation,
                         .name = "act",
                         .inputs = {1},
                         .output = {3, 1, 1},
                         .activation = Activation::kRelu});
    last = 2;
  }
  graph.ops.push_back({.kind = OpKind::kLinear,
                       .name = "classifier",
                       .inputs = {last},
                       .output = {2, 1, 1},
                       .bias = true});
  return graph;
}

Batch batch(int64_t images) {
  torch::manual_seed(1);
  return {.images = torch::randn({images, 2, 1, 1}),
          .labels = torch::arange(images) % 2,
          .targets = {}};
}

struct Weights {
  explicit Weights(const Graph& graph) : store(graph) {
    store.initialize(kSeed, Initialization::kResidual);
    conv = store.full("conv.weight").clone().view({3, 2});
    linear = store.full("classifier.weight").clone();
    bias = store.full("classifier.bias").clone();
  }
  ParameterStore store;
  torch::Tensor conv, linear, bias;
};

// Without activations the gradients are those of a product of matrices:
// dL/dlogits = (softmax - onehot) / N.
TEST(Proxies, OfGradientsAreThoseOfTwoMatrices) {
  const Graph graph = two_layers(false);
  const Weights w(graph);
  const Batch images = batch(8);
  const auto x = images.images.flatten(1);
  const auto hidden = x.mm(w.conv.t());
  const auto logits = hidden.mm(w.linear.t()) + w.bias;
  const auto delta =
      (torch::softmax(logits, 1) - torch::one_hot(images.labels, 2).to(torch::kFloat)) / 8;
  const auto of_linear = delta.t().mm(hidden);
  const auto of_conv = delta.mm(w.linear).t().mm(x);
  const double norm = of_linear.norm().item<double>() + of_conv.norm().item<double>();
  EXPECT_NEAR(proxy(Proxy::kGradNorm, graph, images, kSeed), norm, 1e-5 * norm);
  const double snip = (of_linear * w.linear).abs().sum().item<double>() +
                      (of_conv * w.conv).abs().sum().item<double>();
  EXPECT_NEAR(proxy(Proxy::kSnip, graph, images, kSeed), snip, 1e-5 * snip);
}

// R is homogeneous in each layer's weights, so that each contributes R less what later biases add.
TEST(Proxies, SynflowIsTheFlowThroughEachLayer) {
  const Graph graph = two_layers(true);
  const Weights w(graph);
  const auto ones = torch::ones({1, 2});
  const auto hidden = ones.mm(w.conv.abs().t());
  const double flow = hidden.mm(w.linear.abs().t()).sum().item<double>();
  const double bias = w.bias.abs().sum().item<double>();
  EXPECT_NEAR(proxy(Proxy::kSynflow, graph, batch(2), kSeed), std::log(2 * flow + bias), 1e-5);
}

// By counting units that agree.
TEST(Proxies, NaswotCountsUnitsThatAgree) {
  const Graph graph = two_layers(true);
  const Weights w(graph);
  const Batch images = batch(2);
  const auto on = images.images.flatten(1).mm(w.conv.t()).gt(0);
  const double agree = on[0].eq(on[1]).sum().item<double>();
  // |3 a; a 3|
  const double determinant = 9 - agree * agree;
  const double value = proxy(Proxy::kNaswot, graph, images, kSeed);
  if (determinant > 0) {
    EXPECT_NEAR(value, std::log(determinant), 1e-9);
  } else {
    EXPECT_EQ(value, -INFINITY);
  }
  EXPECT_TRUE(std::isnan(proxy(Proxy::kNaswot, two_layers(false), images, kSeed)));
}

// A 1x1 convolution of 2 to 2 channels, norm, ReLU, the input added, pool and classifier.
Graph with_norm_and_skip() {
  const Shape map{2, 4, 4};
  Graph graph{.name = "skip", .ops = {}};
  graph.ops.push_back({.kind = OpKind::kInput, .name = "input", .output = map});
  graph.ops.push_back({.kind = OpKind::kConv, .name = "conv", .inputs = {0}, .output = map});
  graph.ops.push_back({.kind = OpKind::kNorm, .name = "norm", .inputs = {1}, .output = map});
  graph.ops.push_back({.kind = OpKind::kActivation,
                       .name = "act",
                       .inputs = {2},
                       .output = map,
                       .activation = Activation::kRelu});
  graph.ops.push_back({.kind = OpKind::kAdd, .name = "add", .inputs = {3, 0}, .output = map});
  graph.ops.push_back(
      {.kind = OpKind::kPool, .name = "global_pool", .inputs = {4}, .output = {2, 1, 1}});
  graph.ops.push_back({.kind = OpKind::kLinear,
                       .name = "classifier",
                       .inputs = {5},
                       .output = {2, 1, 1},
                       .bias = true});
  return graph;
}

// Algorithm 1 of Lin et al. (arXiv 2102.01063) with plain tensors: normal weights, no skip, the
// features before the pool of noise and of noise with a hundredth of other noise, each normalised
// by its own batch, and the deviation that the norm has taken away.
TEST(Proxies, ZenIsTheChangeOfFeaturesAndWhatNormsTakeAway) {
  const Graph graph = with_norm_and_skip();
  torch::manual_seed(1);
  const Batch images{.images = torch::zeros({8, 2, 4, 4}),
                     .labels = torch::zeros({8}, torch::kLong),
                     .targets = {}};
  auto generator = at::make_generator<at::CPUGeneratorImpl>(kSeed);
  const auto normal = [&](at::IntArrayRef shape) {
    return torch::empty(shape).normal_(0, 1, generator);
  };
  const auto weight = normal({2, 2, 1, 1});
  normal({2, 2});  // the classifier's
  const auto noise = normal({8, 2, 4, 4}), other = normal({8, 2, 4, 4});
  double log_deviation = 0;
  const auto features = [&](const torch::Tensor& x) {
    const auto rows = x.permute({0, 2, 3, 1}).reshape({-1, 2}).mm(weight.view({2, 2}).t());
    const auto variance = rows.var(0, /*unbiased=*/false);
    log_deviation = std::log(std::sqrt(variance.mean().item<double>()));
    return torch::relu((rows - rows.mean(0)) / torch::sqrt(variance + graph.norm.epsilon));
  };
  const auto changed = features(noise + 0.01 * other);
  const auto change = (features(noise) - changed).abs().view({8, -1}).sum(1).mean();
  EXPECT_NEAR(proxy(Proxy::kZen, graph, images, kSeed),
              std::log(change.item<double>()) + log_deviation, 1e-4);
}

}  // namespace
}  // namespace ridgewalk
