#include "supernet/network/memory.h"

#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "space/decisions.h"
#include "supernet/network/parameters.h"

namespace ridgewalk {
namespace {

constexpr int kBytesPerWeight = 4;
constexpr int kTrainingCopies = 4;  // the weight, its gradient, two moments

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

// The gradients of a sum and of a mean need no values; that of a softmax needs its output.
bool backward_needs_input(OpKind kind) {
  return kind != OpKind::kAdd && kind != OpKind::kMean && kind != OpKind::kPool &&
         kind != OpKind::kSoftmax && kind != OpKind::kSigmoid;
}

bool backward_needs_output(OpKind kind) {
  return kind == OpKind::kSoftmax || kind == OpKind::kSigmoid;
}

// Of each op: whether a training step keeps its output until the backward pass.
std::vector<bool> kept_for_backward(const Graph& graph) {
  std::vector<bool> kept(graph.ops.size());
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    if (backward_needs_output(op.kind)) kept[i] = true;
    if (!backward_needs_input(op.kind)) continue;
    for (int input : op.inputs) kept[size_t(input)] = true;
  }
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    if (is_joined_relu(graph, graph.ops[i])) kept[i] = false;
  }
  return kept;
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
  const double scale = double(batch) * bytes_per_activation;
  MemoryNeed need{.weights = kTrainingCopies * kBytesPerWeight * weight_elements(graph)};
  const std::vector<bool> kept = kept_for_backward(graph);
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    if (!kept[i]) continue;
    const Op& op = graph.ops[i];
    const double bytes = scale * double(op.output.elements());
    need.activations += bytes;
    if (is_attention_map(op.kind)) need.attention_scores += bytes;
  }
  return need;
}

MemoryNeed supernet_memory(const SearchSpace& space, int64_t batch, int64_t validation_batch,
                           int bytes_per_activation) {
  MemoryNeed most;
  for (const Architecture& architecture : covering(space)) {
    const Graph graph = lower(architecture, Naming::kShared);
    for (const MemoryNeed& need :
         {training_memory(graph, batch, bytes_per_activation),
          inference_memory(graph, validation_batch, bytes_per_activation)}) {
      if (need.activations > most.activations) most = need;
    }
  }
  most.weights = 0;
  for (const Parameter& parameter : shared_parameters(space)) {
    most.weights += kTrainingCopies * kBytesPerWeight * double(parameter.elements());
  }
  return most;
}

MemoryNeed side_by_side(MemoryNeed need, int64_t lanes) {
  need.activations *= double(lanes);
  need.attention_scores *= double(lanes);
  return need;
}

void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kNever = -1;
  constexpr int kGrowth = 64 << 20;
  mallopt(M_MMAP_MAX, 0);   // all from the heap
  mallopt(M_ARENA_MAX, 1);  // which only the main arena has without a limit
  mallopt(M_TRIM_THRESHOLD, kNever);
  mallopt(M_TOP_PAD, kGrowth);
#endif
}

}  // namespace ridgewalk
