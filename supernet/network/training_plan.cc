#include "supernet/network/training_plan.h"

#include <algorithm>

namespace ridgewalk {
namespace {

// Whether an output is [N, C, H, W] (or a linear layer's [N, C]), not a map of attention.
bool is_image(const Op& op) {
  return op.kind != OpKind::kAttentionScores && op.kind != OpKind::kSoftmax;
}

bool writes_rows(OpKind kind) { return kind == OpKind::kConv || kind == OpKind::kDepthwise; }

// Whether the gradient of an op needs its input.
bool keeps_input(OpKind kind) {
  return kind == OpKind::kConv || kind == OpKind::kDepthwise || kind == OpKind::kLinear ||
         kind == OpKind::kActivation;
}

class Planner {
 public:
  Planner(const Graph& graph, bool drops) : graph_(graph), drops_(drops), uses_(graph.ops.size()) {
    const size_t count = graph.ops.size();
    plan_.engines.assign(count, Engine::kLibTorch);
    plan_.source.resize(count);
    plan_.readers.resize(count);
    plan_.norms.resize(count);
    plan_.needs_gradient.assign(count, false);
    plan_.values.resize(count);
    plan_.gradients.resize(count);
    for (const Op& op : graph.ops) {
      for (int input : op.inputs) ++uses_[size_t(input)];
    }
  }

  TrainingPlan run(bool trains, int64_t batch, size_t bytes) {
    plan_.engines[0] = Engine::kOwn;
    for (size_t i = 1; i < graph_.ops.size(); ++i) assign(int(i));
    for (size_t i = 0; i < graph_.ops.size(); ++i) {
      const Op& op = graph_.ops[i];
      if (plan_.source[i] != int(i)) continue;
      const size_t size = bytes * size_t(batch) * size_t(op.output.elements());
      if (plan_.engines[i] == Engine::kOwn && i > 0) {
        plan_.values[i] = {size, int64_t(i), last_read(int(i), trains)};
      }
      if (trains && plan_.needs_gradient[i] && is_image(op)) {
        plan_.gradients[i] = {size, first_gradient(int(i)), backward(int(i))};
      }
    }
    return std::move(plan_);
  }

 private:
  int64_t count() const { return int64_t(graph_.ops.size()); }
  int64_t backward(int op) const { return 2 * count() - op; }
  const Op& op(int index) const { return graph_.ops[size_t(index)]; }
  int source(int index) const { return plan_.source[size_t(index)]; }
  bool is_last(int source_op) const { return source(int(count()) - 1) == source_op; }

  Engine engine(int index) const {
    const Op& o = op(index);
    if (o.drop > 0 && drops_) return Engine::kLibTorch;
    const int input = o.inputs[0];
    const Shape& from = op(input).output;
    switch (o.kind) {
      case OpKind::kConv:
        return o.groups == 1 ? Engine::kOwn : Engine::kLibTorch;
      case OpKind::kLinear:
        return from.height * from.width == 1 ? Engine::kOwn : Engine::kLibTorch;
      case OpKind::kDepthwise:
        return o.bias ? Engine::kLibTorch : Engine::kOwn;
      case OpKind::kAdd:
      case OpKind::kPool:
        return Engine::kOwn;
      case OpKind::kNorm:
        return uses_[size_t(input)] == 1 && writes_rows(op(input).kind) && !op(input).bias &&
                       plan_.engines[size_t(input)] == Engine::kOwn
                   ? Engine::kReader
                   : Engine::kLibTorch;
      case OpKind::kActivation:
        if (o.activation == Activation::kRelu && op(input).kind == OpKind::kNorm &&
            uses_[size_t(input)] == 1 && plan_.engines[size_t(input)] == Engine::kReader) {
          return Engine::kReader;
        }
        return is_image(op(input)) ? Engine::kOwn : Engine::kLibTorch;
      default:
        return Engine::kLibTorch;
    }
  }

  void assign(int index) {
    const Op& o = op(index);
    const auto i = size_t(index);
    plan_.engines[i] = engine(index);
    if (plan_.engines[i] == Engine::kReader) {
      plan_.source[i] = source(o.inputs[0]);
      ReadNorm& norm = plan_.norms[size_t(plan_.source[i])];
      o.kind == OpKind::kNorm ? void(norm.op = index) : void(norm.relu = true);
      return;
    }
    plan_.source[i] = index;
    bool needs = !parameters(graph_, index).empty();
    for (int input : o.inputs) {
      const auto from = size_t(source(input));
      plan_.readers[from].push_back(index);
      needs = needs || plan_.needs_gradient[from];
    }
    plan_.needs_gradient[i] = needs;
  }

  int64_t last_read(int index, bool trains) const {
    const auto i = size_t(index);
    int64_t last = is_last(index) ? count() : index;
    for (int reader : plan_.readers[i]) last = std::max<int64_t>(last, reader);
    if (!trains) return last;
    if (plan_.norms[i].op >= 0) return backward(index);
    for (int reader : plan_.readers[i]) {
      const bool keeps =
          plan_.engines[size_t(reader)] == Engine::kOwn && keeps_input(op(reader).kind);
      if (keeps) last = std::max(last, backward(reader));
    }
    return last;
  }

  int64_t first_gradient(int index) const {
    const std::vector<int>& readers = plan_.readers[size_t(index)];
    return is_last(index) || readers.empty() ? count() : backward(readers.back());
  }

  const Graph& graph_;
  const bool drops_;
  std::vector<int> uses_;  // by op
  TrainingPlan plan_;
};

}  // namespace

TrainingPlan plan_training(const Graph& graph, bool drops, bool trains, int64_t batch,
                           size_t bytes) {
  return Planner(graph, drops).run(trains, batch, bytes);
}

double detour_elements(const Graph& graph, const TrainingPlan& plan) {
  double elements = 0;
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    if (plan.engines[i] != Engine::kLibTorch) continue;
    elements += double(graph.ops[i].output.elements());
    for (int input : graph.ops[i].inputs) {
      const auto from = size_t(plan.source[size_t(input)]);
      if (from > 0 && plan.engines[from] == Engine::kOwn) {
        elements += double(graph.ops[from].output.elements());
      }
    }
  }
  return elements;
}

}  // namespace ridgewalk
