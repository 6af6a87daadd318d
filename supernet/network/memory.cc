#include "supernet/network/memory.h"

#include <vector>

namespace ridgewalk {
namespace {

constexpr int kBytesPerWeight = 4;

bool is_attention_map(OpKind kind) {
  return kind == OpKind::kAttentionScores || kind == OpKind::kSoftmax;
}

double weight_elements(const Graph& graph) {
  double elements = 0;
  for (size_t op = 0; op < graph.ops.size(); ++op) {
    for (const Parameter& parameter : parameters(graph, int(op))) {
      elements += double(parameter.elements());
    }
  }
  return elements;
}

// A ReLU after a norm is part of it (supernet/network/batch_norm.h) and has no values of its own.
bool is_joined_relu(const Graph& graph, const Op& op) {
  return op.kind == OpKind::kActivation && op.activation == Activation::kRelu &&
         graph.ops[size_t(op.inputs[0])].kind == OpKind::kNorm;
}

// What compiled inference writes over its first input.
bool is_written_in_place(const Op& op) {
  switch (op.kind) {
    case OpKind::kNorm:
    case OpKind::kActivation:
    case OpKind::kLayerScale:
    case OpKind::kAdd:
      return true;
    default:
      return false;
  }
}

// `in_place` says which ops have no place of their own.
template <class Predicate>
MemoryNeed peak(const Graph& graph, double bytes_per_element, Predicate in_place) {
  const std::vector<Op>& ops = graph.ops;
  std::vector<size_t> place(ops.size()), last_use(ops.size());
  for (size_t i = 0; i < ops.size(); ++i) {
    place[i] = i > 0 && in_place(ops[i]) ? place[size_t(ops[i].inputs[0])] : i;
    last_use[place[i]] = i;
    for (int input : ops[i].inputs) last_use[place[size_t(input)]] = i;
  }
  last_use[place.back()] = ops.size();  // the logits
  std::vector<std::vector<size_t>> freed_after(ops.size() + 1);
  for (size_t i = 0; i < ops.size(); ++i) {
    if (place[i] == i) freed_after[last_use[i]].push_back(i);
  }
  MemoryNeed most{.weights = kBytesPerWeight * weight_elements(graph)};
  double live = 0, maps = 0;
  const auto add = [&](size_t op, double sign) {
    const double bytes = sign * bytes_per_element * double(ops[op].output.elements());
    live += bytes;
    if (is_attention_map(ops[op].kind)) maps += bytes;
  };
  for (size_t i = 0; i < ops.size(); ++i) {
    if (place[i] == i) add(i, 1);
    if (live > most.activations) {
      most.activations = live;
      most.attention_scores = maps;
    }
    for (size_t op : freed_after[i]) add(op, -1);
  }
  return most;
}

}  // namespace

MemoryNeed inference_memory(const Graph& graph, int64_t batch, int bytes_per_activation) {
  return peak(graph, double(batch) * bytes_per_activation, [](const Op&) { return false; });
}

MemoryNeed compiled_memory(const Graph& graph, int64_t batch, int bytes_per_activation) {
  return peak(graph, double(batch) * bytes_per_activation, is_written_in_place);
}

MemoryNeed training_memory(const Graph& graph, int64_t batch, int bytes_per_activation) {
  constexpr int kCopies = 4;  // the weight, its gradient, two moments
  const double scale = double(batch) * bytes_per_activation;
  MemoryNeed need{.weights = kCopies * kBytesPerWeight * weight_elements(graph)};
  for (const Op& op : graph.ops) {
    if (is_joined_relu(graph, op)) continue;
    const double bytes = scale * double(op.output.elements());
    need.activations += bytes;
    if (is_attention_map(op.kind)) need.attention_scores += bytes;
  }
  return need;
}

}  // namespace ridgewalk
