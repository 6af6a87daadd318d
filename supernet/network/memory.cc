#include "supernet/network/memory.h"

#include <algorithm>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "roofline/memory.h"
#include "space/attention_tile.h"
#include "space/decisions.h"
#include "supernet/network/parameters.h"
#include "supernet/network/training_plan.h"

namespace ridgewalk {
namespace {

constexpr int kBytesPerWeight = 4;
constexpr int kTrainingCopies = 4;  // the weight, its gradient, two moments

bool is_attention_map(OpKind kind) {
  return kind == OpKind::kAttentionScores || kind == OpKind::kSoftmax;
}

// Of a batch; of scores that are too many, a tile.
double held_elements(const Op& op, double batch) {
  const double elements = batch * double(op.output.elements());
  return is_attention_map(op.kind) ? std::min(elements, double(kAttentionTile)) : elements;
}

double weight_elements(const Graph& graph) {
  double elements = 0;
  for (size_t op = 0; op < graph.ops.size(); ++op) {
    if (shares_earlier(graph, int(op))) continue;
    for (const Parameter& parameter : parameters(graph, int(op))) {
      elements += double(parameter.elements());
    }
  }
  return elements;
}

// The gradients of a ReLU, a softmax and a sigmoid need their output.
bool backward_needs_output(const Op& op) {
  return op.kind == OpKind::kSoftmax || op.kind == OpKind::kSigmoid ||
         (op.kind == OpKind::kActivation && op.activation == Activation::kRelu);
}

// Those of a sum and of a mean need no values.
bool backward_needs_input(const Op& op) {
  return !backward_needs_output(op) && op.kind != OpKind::kAdd && op.kind != OpKind::kMean &&
         op.kind != OpKind::kPool && op.kind != OpKind::kUpsample;
}

// Of each op: whether a training step keeps its output until the backward pass.
std::vector<bool> kept_for_backward(const Graph& graph) {
  std::vector<bool> kept(graph.ops.size());
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    if (backward_needs_output(op)) kept[i] = true;
    if (!backward_needs_input(op)) continue;
    for (int input : op.inputs) kept[size_t(input)] = true;
  }
  return kept;
}

// The three ops of an attention run as one, so that the query and the key are read until its end;
// so is, of a tiled one, the tile of scores.
void extend_to_mix(const Graph& graph, int64_t batch, std::vector<size_t>& last_use) {
  const std::vector<int> uses = use_counts(graph);
  for (size_t mix = 0; mix < graph.ops.size(); ++mix) {
    if (graph.ops[mix].kind != OpKind::kAttentionMix) continue;
    const AttentionOps parts = attention_ops(graph, int(mix), uses);
    if (parts.scores < 0) continue;
    const Op& scores = graph.ops[size_t(parts.scores)];
    Inputs read = scores.inputs;
    if (is_tiled(scores, batch)) read.push_back(parts.scores);
    for (int op : read) last_use[size_t(op)] = std::max(last_use[size_t(op)], mix);
  }
}

// Of a step by autograd, op by op.
MemoryNeed autograd_memory(const Graph& graph, int64_t batch, int bytes_per_activation) {
  constexpr double kTilesOfGradients = 4;  // weights, their gradients, two products
  MemoryNeed need{.weights = kTrainingCopies * kBytesPerWeight * weight_elements(graph)};
  const std::vector<bool> kept = kept_for_backward(graph);
  bool has_tiles = false;
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    if (!kept[i]) continue;
    if (is_attention_map(op.kind) && is_tiled(op, batch)) {
      has_tiles = true;
      continue;  // computed again, and let go
    }
    const double bytes = bytes_per_activation * double(batch) * double(op.output.elements());
    need.activations += bytes;
    if (is_attention_map(op.kind)) need.attention_scores += bytes;
  }
  if (!has_tiles) return need;
  const double tiles = kTilesOfGradients * bytes_per_activation * double(kAttentionTile);
  need.activations += tiles;
  need.attention_scores += tiles;
  return need;
}

}  // namespace

MemoryNeed inference_memory(const Graph& graph, int64_t batch, int bytes_per_activation) {
  const std::vector<Op>& ops = graph.ops;
  std::vector<size_t> last_use(ops.size());
  for (size_t i = 0; i < ops.size(); ++i) {
    last_use[i] = i;
    for (int input : ops[i].inputs) last_use[size_t(input)] = i;
  }
  extend_to_mix(graph, batch, last_use);
  last_use.back() = ops.size();  // the logits
  for (const Output& output : graph.outputs) last_use[size_t(output.op)] = ops.size();
  std::vector<std::vector<size_t>> freed_after(ops.size() + 1);
  for (size_t i = 0; i < ops.size(); ++i) freed_after[last_use[i]].push_back(i);
  MemoryNeed most{.weights = kBytesPerWeight * weight_elements(graph)};
  double live = 0, maps = 0;
  const auto add = [&](size_t op, double sign) {
    const double bytes = sign * bytes_per_activation * held_elements(ops[op], double(batch));
    live += bytes;
    if (is_attention_map(ops[op].kind)) maps += bytes;
  };
  for (size_t i = 0; i < ops.size(); ++i) {
    add(i, 1);
    if (live > most.activations) {
      most.activations = live;
      most.attention_scores = maps;
    }
    for (size_t op : freed_after[i]) add(op, -1);
  }
  return most;
}

MemoryNeed compiled_memory(const Graph& graph, int batch, DataType type) {
  constexpr double kMaps = 2;  // scores and their softmax
  MemoryNeed need{.weights = kBytesPerWeight * weight_elements(graph),
                  .activations = peak_memory(graph, {type}, batch).value};
  for (const Op& op : graph.ops) {
    if (op.kind != OpKind::kAttentionScores) continue;
    need.attention_scores =
        std::max(need.attention_scores, kMaps * bytes_per_element(type) * held_elements(op, batch));
  }
  return need;
}

MemoryNeed training_memory(const Graph& graph, int64_t batch, int bytes_per_activation) {
  for (const Op& op : graph.ops) {
    if (op.kind == OpKind::kAttentionScores && is_tiled(op, batch)) {
      return autograd_memory(graph, batch, bytes_per_activation);
    }
  }
  const double scale = double(batch) * bytes_per_activation;
  MemoryNeed need{.weights = kTrainingCopies * kBytesPerWeight * weight_elements(graph)};
  const TrainingPlan plan = plan_training(graph, true, true, batch, size_t(bytes_per_activation));
  std::vector<Tenancy> lifetimes = plan.values;
  lifetimes.insert(lifetimes.end(), plan.gradients.begin(), plan.gradients.end());
  const double images = double(graph.ops[0].output.elements());
  need.activations =
      double(place(lifetimes).bytes) + scale * (images + detour_elements(graph, plan));
  for (const Op& op : graph.ops) {
    if (is_attention_map(op.kind)) {
      need.attention_scores += scale * double(op.output.elements());
    }
  }
  return need;
}

MemoryNeed rounded_training_memory(const Graph& graph, int64_t batch) {
  constexpr double kRoundedCopies = 3;
  MemoryNeed need = autograd_memory(graph, batch, sizeof(float));
  need.weights += kBytesPerWeight * weight_elements(graph);
  need.activations *= kRoundedCopies;
  need.attention_scores *= kRoundedCopies;
  return need;
}

MemoryNeed supernet_memory(const SearchSpace& space, int64_t batch, int64_t validation_batch,
                           int bytes_per_activation, bool has_average, bool rounds) {
  MemoryNeed most;
  for (const BlendedArchitecture& architecture : covering(space)) {
    const Graph graph = lower(architecture);
    for (const MemoryNeed& need :
         {rounds ? rounded_training_memory(graph, batch)
                 : training_memory(graph, batch, bytes_per_activation),
          inference_memory(graph, validation_batch, bytes_per_activation)}) {
      if (need.activations > most.activations) most = need;
    }
  }
  most.weights = 0;
  const double copies = kTrainingCopies + (has_average ? 1 : 0);
  for (const Parameter& parameter : shared_parameters(space)) {
    most.weights += copies * kBytesPerWeight * double(parameter.elements());
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
  mallopt(M_MMAP_MAX, 0);  // all from heaps
  mallopt(M_TRIM_THRESHOLD, kNever);
  mallopt(M_TOP_PAD, kGrowth);
#endif
}

}  // namespace ridgewalk
