#include "space/inference_steps.h"

#include <algorithm>

#include "space/attention_tile.h"

namespace ridgewalk {
namespace {

bool takes_post_ops(OpKind kind) {
  return kind == OpKind::kConv || kind == OpKind::kDepthwise || kind == OpKind::kLinear;
}
bool is_activation(OpKind kind) {
  return kind == OpKind::kActivation || kind == OpKind::kSigmoid || kind == OpKind::kHardSigmoid;
}

class Scheduler {
 public:
  Scheduler(const Graph& graph, int64_t batch)
      : graph_(graph),
        batch_(batch),
        tiled_(graph.ops.size()),
        is_done_(graph.ops.size()),
        is_output_(graph.ops.size()),
        readers_(graph.ops.size()) {
    for (const Output& output : graph.outputs) is_output_[size_t(output.op)] = true;
    for (size_t i = 0; i < graph.ops.size(); ++i) {
      for (int input : graph.ops[i].inputs) readers_[size_t(input)].push_back(int(i));
    }
    const std::vector<int> uses = use_counts(graph);
    for (size_t i = 0; i < graph.ops.size(); ++i) {
      if (graph.ops[i].kind != OpKind::kAttentionMix) continue;
      const auto [scores, softmax] = attention_ops(graph, int(i), uses);
      if (scores < 0 || !is_tiled(op(scores), batch)) continue;
      for (int part : {scores, softmax, int(i)}) tiled_[size_t(part)] = {scores, softmax};
    }
  }

  std::vector<InferenceStep> run() {
    std::vector<InferenceStep> steps;
    for (size_t i = 0; i < graph_.ops.size(); ++i) {
      if (is_done_[i]) continue;
      const AttentionOps& tiled = tiled_[i];
      if (tiled.scores >= 0 && graph_.ops[i].kind != OpKind::kAttentionMix) continue;
      InferenceStep step{.ops = {int(i)}};
      if (tiled.scores >= 0) {
        step = {.ops = {tiled.scores, tiled.softmax, int(i)}, .in_tiles = elements_in_tiles(i)};
      }
      if (takes_post_ops(graph_.ops[i].kind)) extend(step);
      for (int op : step.ops) is_done_[size_t(op)] = true;
      steps.push_back(std::move(step));
    }
    return steps;
  }

 private:
  const Op& op(int index) const { return graph_.ops[size_t(index)]; }

  int64_t elements_in_tiles(size_t mix) const {
    const Shape& scores = op(tiled_[mix].scores).output;
    const int served = op(int(mix)).heads / op(int(mix)).kv_heads;
    const int64_t rows = int64_t{served} * scores.height, keys = scores.width;
    const AttentionTile tile = attention_tile(batch_, rows, keys);
    return 2 * tile.images * tile.rows * keys;
  }

  // Follows the step's value as long as it has a single reader: activations, and one add whose
  // other side is computed already and is not read later, so that the add can be done in place.
  void extend(InferenceStep& step) const {
    while (readers_[size_t(step.ops.back())].size() == 1) {
      const int at = step.ops.back();
      if (is_output_[size_t(at)]) return;
      const int next = readers_[size_t(at)][0];
      if (op(next).kind == OpKind::kAdd && step.overwrites < 0) {
        const int skip = op(next).inputs[op(next).inputs[0] == at ? 1 : 0];
        if (!is_done_[size_t(skip)] || op(skip).output != op(step.ops[0]).output ||
            is_output_[size_t(skip)] || is_read_besides(skip, next)) {
          return;
        }
        step.overwrites = skip;
      } else if (!is_activation(op(next).kind)) {
        return;
      }
      step.ops.push_back(next);
    }
  }

  bool is_read_besides(int value, int reader) const {
    const std::vector<int>& readers = readers_[size_t(value)];
    return std::any_of(readers.begin(), readers.end(),
                       [&](int r) { return r != reader && !is_done_[size_t(r)]; });
  }

  const Graph& graph_;
  const int64_t batch_;
  std::vector<AttentionOps> tiled_;  // by op: of the attention in tiles that it is part of
  std::vector<bool> is_done_, is_output_;
  std::vector<std::vector<int>> readers_;
};

}  // namespace

std::vector<InferenceStep> inference_steps(const Graph& folded, int64_t batch) {
  return Scheduler(folded, batch).run();
}

std::vector<Lifetime> lifetimes(const Graph& folded, const std::vector<InferenceStep>& steps) {
  std::vector<int> step_of(folded.ops.size());
  for (size_t s = 0; s < steps.size(); ++s) {
    for (int op : steps[s].ops) step_of[size_t(op)] = int(s);
  }
  std::vector<Lifetime> lives(steps.size());
  for (size_t s = 0; s < steps.size(); ++s) lives[s] = {int(s), int(s)};
  lives.back().last = int(steps.size());
  for (const Output& output : folded.outputs) {
    lives[size_t(step_of[size_t(output.op)])].last = int(steps.size());
  }
  for (size_t s = 0; s < steps.size(); ++s) {
    for (int op : steps[s].ops) {
      for (int input : folded.ops[size_t(op)].inputs) {
        const int maker = step_of[size_t(input)];
        if (maker != int(s))
          lives[size_t(maker)].last = std::max(lives[size_t(maker)].last, int(s));
      }
    }
  }
  for (size_t s = 0; s < steps.size(); ++s) {
    const int before = steps[s].overwrites;
    if (before >= 0) lives[size_t(step_of[size_t(before)])].last = int(s) - 1;
  }
  return lives;
}

}  // namespace ridgewalk
