#include "supernet/quantization/equalization.h"

#include <algorithm>
#include <vector>

namespace ridgewalk {
namespace {

// Each pass equalises every pair, which moves its neighbours; factors near 1 are the end.
constexpr int kMostPasses = 50;
constexpr double kSettled = 1e-3;

struct Pair {
  int first = 0, second = 0;
};

bool is_convolution(const Op& op) {
  return (op.kind == OpKind::kConv || op.kind == OpKind::kDepthwise) && op.shared_name.empty();
}

// The convolution whose channels op `second` reads, or -1.
int convolution_before(const Graph& graph, const std::vector<int>& uses, int second) {
  int before = graph.ops[size_t(second)].inputs[0];
  const Op& between = graph.ops[size_t(before)];
  if (between.kind == OpKind::kActivation && between.activation == Activation::kRelu) {
    if (uses[size_t(before)] != 1) return -1;
    before = between.inputs[0];
  }
  return is_convolution(graph.ops[size_t(before)]) && uses[size_t(before)] == 1 ? before : -1;
}

std::vector<Pair> pairs_of(const Graph& graph) {
  const std::vector<int> uses = use_counts(graph);
  std::vector<Pair> pairs;
  for (int i = 1; i < int(graph.ops.size()); ++i) {
    if (!is_convolution(graph.ops[size_t(i)])) continue;
    const int before = convolution_before(graph, uses, i);
    if (before >= 0) pairs.push_back({before, i});
  }
  return pairs;
}

// Returns the largest change: factor - 1, in fp64.
double equalize_pair(const Network& network, const Pair& pair) {
  const Op& first = network.graph.ops[size_t(pair.first)];
  const Op& second = network.graph.ops[size_t(pair.second)];
  torch::Tensor rows = network.parameters.full(first.name + ".weight");
  torch::Tensor columns = network.parameters.full(second.name + ".weight");
  const int64_t groups = groups_of(second), in = columns.size(1);
  const torch::Tensor by_group =  // [groups, out, in, k, k] of each group, a view
      columns.view({groups, columns.size(0) / groups, in, columns.size(2), columns.size(3)});
  const auto largest_row = rows.abs().flatten(1).amax(1).to(torch::kDouble);
  const auto largest_column = by_group.abs().amax({1, 3, 4}).flatten().to(torch::kDouble);
  // Both become the geometric mean. A channel without weights on one side stays.
  auto factor = torch::sqrt(largest_column / largest_row);
  factor =
      torch::where(factor.isfinite().logical_and(factor > 0), factor, torch::ones_like(factor));
  rows.mul_(factor.view({-1, 1, 1, 1}));
  if (first.bias) network.parameters.full(first.name + ".bias").mul_(factor);
  const auto inverse = 1 / factor;
  by_group.mul_(inverse.view({groups, 1, in, 1, 1}));
  return (factor - 1).abs().max().item<double>();
}

}  // namespace

int equalize(Network& folded) {
  at::NoGradGuard no_grad;
  const std::vector<Pair> pairs = pairs_of(folded.graph);
  for (int pass = 0; pass < kMostPasses; ++pass) {
    double change = 0;
    for (const Pair& pair : pairs) change = std::max(change, equalize_pair(folded, pair));
    if (change < kSettled) break;
  }
  return int(pairs.size());
}

}  // namespace ridgewalk
