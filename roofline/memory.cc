#include "roofline/memory.h"

#include <algorithm>

#include "space/fold.h"
#include "space/inference_steps.h"

namespace ridgewalk {
namespace {

constexpr int kWide = 4;  // bytes of an fp32 or int32

bool is_output(const Graph& graph, int op) {
  if (graph.outputs.empty()) return op + 1 == std::ssize(graph.ops);
  return std::any_of(graph.outputs.begin(), graph.outputs.end(),
                     [&](const Output& output) { return output.op == op; });
}

// Scores of attention are fp32 beside int8 values.
bool is_wide_score(const Op& op, DataType type) {
  return type == DataType::kInt8 && op.kind == OpKind::kAttentionScores;
}

// Half are of scores, half of their softmax.
double tile_bytes(const InferenceStep& step, DataType type) {
  const int score = type == DataType::kInt8 ? kWide : bytes_per_element(type);
  return double(step.in_tiles) / 2 * (score + bytes_per_element(type));
}

double value_bytes(const Graph& folded, const InferenceStep& step, DataType type) {
  const Op& op = folded.ops[size_t(step.ops.back())];
  const bool is_wide =
      (is_output(folded, step.ops[0]) && type != DataType::kInt8) || is_wide_score(op, type);
  return double(op.output.elements()) * (is_wide ? kWide : bytes_per_element(type));
}

// One per step.
std::vector<Bytes> live_bytes(const Graph& folded, const std::vector<InferenceStep>& steps,
                              DataType type, int batch) {
  const std::vector<Lifetime> lives = lifetimes(folded, steps);
  std::vector<Bytes> live(steps.size());
  for (size_t s = 0; s < steps.size(); ++s) {
    live[s] += {tile_bytes(steps[s], type)};
    const Bytes size{batch * value_bytes(folded, steps[s], type)};
    const int last = std::min(lives[s].last, int(steps.size()) - 1);
    for (int during = lives[s].first; during <= last; ++during) live[size_t(during)] += size;
  }
  return live;
}

// Norm weights are one half of a folded norm: scale and shift.
int stored_bytes(ParameterRole role, DataType type) {
  switch (role) {
    case ParameterRole::kWeight:
      return bytes_per_element(type);
    case ParameterRole::kBias:
    case ParameterRole::kNormWeight:
    case ParameterRole::kNormBias:
    case ParameterRole::kLayerScale:
      return kWide;
    case ParameterRole::kRunningMean:
    case ParameterRole::kRunningVar:
      return 0;
  }
  return 0;
}

std::vector<Bytes> memory_in(const Graph& graph, DataType type, int batch) {
  const FoldedGraph folded = fold_norms(graph);
  const std::vector<InferenceStep> steps = inference_steps(folded.graph, batch);
  const std::vector<Bytes> live = live_bytes(folded.graph, steps, type, batch);
  std::vector<Bytes> memory(graph.ops.size());
  for (size_t s = 0; s < steps.size(); ++s) {
    for (int op : steps[s].ops) {
      for (int origin : folded.origins[size_t(op)]) memory[size_t(origin)] = live[s];
    }
  }
  return memory;
}

}  // namespace

std::vector<Bytes> activation_memory(const Graph& graph, NetworkTypes types, int batch) {
  std::vector<Bytes> memory = memory_in(graph, types.stages, batch);
  if (!types.are_mixed()) return memory;
  const std::vector<Bytes> head = memory_in(graph, types.head, batch);
  const int begin = head_begin(graph);
  std::copy(head.begin() + begin, head.end(), memory.begin() + begin);
  return memory;
}

Bytes peak_memory(const Graph& graph, int begin, int end, NetworkTypes types, int batch) {
  const std::vector<Bytes> memory = activation_memory(graph, types, batch);
  Bytes peak;
  for (int i = begin; i < end; ++i) peak = std::max(peak, memory[size_t(i)]);
  return peak;
}

Bytes peak_memory(const Graph& graph, NetworkTypes types, int batch) {
  return std::ranges::max(activation_memory(graph, types, batch));
}

Bytes weight_memory(const Graph& graph, int begin, int end, NetworkTypes types) {
  const FoldedGraph folded = fold_norms(graph);
  Bytes sum;
  for (size_t i = 0; i < folded.graph.ops.size(); ++i) {
    const int origin = folded.origins[i].front();
    if (origin < begin || origin >= end || shares_earlier(folded.graph, int(i))) continue;
    const DataType type = types.of(graph, origin);
    for (const Parameter& parameter : parameters(folded.graph, int(i))) {
      sum += {double(parameter.elements()) * stored_bytes(parameter.role, type)};
    }
  }
  return sum;
}

Bytes weight_memory(const Graph& graph, NetworkTypes types) {
  return weight_memory(graph, 0, int(graph.ops.size()), types);
}

}  // namespace ridgewalk
