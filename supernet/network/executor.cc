#include "supernet/network/executor.h"

#include <algorithm>
#include <unordered_set>

#include "supernet/network/attention.h"
#include "supernet/network/training_pass.h"

namespace ridgewalk {

Executor::Executor(Graph graph, ParameterStore& store, size_t leaves)
    : graph_(std::make_shared<const Graph>(std::move(graph))) {
  const size_t count = graph_->ops.size();
  const std::vector<int> uses = use_counts(*graph_);
  std::vector<size_t> last_use(count, count);
  for (size_t i = 0; i < count; ++i) {
    auto& own = parameters_.emplace_back();
    for (const Parameter& parameter : parameters(*graph_, int(i))) {
      own.push_back(store.slice(parameter.name, parameter.shape, leaves));
    }
    for (int input : graph_->ops[i].inputs) last_use[input] = i;
  }
  attention_.resize(count, -1);
  for (size_t i = 0; i < count; ++i) {
    if (graph_->ops[i].kind != OpKind::kAttentionMix) continue;
    const auto [scores, softmax] = attention_ops(*graph_, int(i), uses);
    if (scores < 0) continue;
    for (size_t part : {size_t(scores), size_t(softmax), i}) attention_[part] = scores;
    for (int input : graph_->ops[size_t(scores)].inputs) {
      last_use[input] = std::max(last_use[input], i);
    }
  }
  for (const Output& output : graph_->outputs) last_use[output.op] = count;
  last_used_by_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    if (last_use[i] < count) last_used_by_[last_use[i]].push_back(int(i));
  }
}

std::vector<torch::Tensor> Executor::learned() const {
  std::vector<torch::Tensor> learned;
  std::unordered_set<const void*> known;
  for (const auto& own : parameters_) {
    for (const torch::Tensor& slice : own) {
      if (!slice.requires_grad()) continue;
      if (known.insert(slice.unsafeGetTensorImpl()).second) learned.push_back(slice);
    }
  }
  if (rounding_) {
    for (const torch::Tensor& also : rounding_->learned()) learned.push_back(also);
  }
  return learned;
}

std::vector<torch::Tensor> learned(const std::vector<Executor>& networks) {
  std::vector<torch::Tensor> all;
  for (const Executor& network : networks) {
    for (torch::Tensor& slice : network.learned()) all.push_back(std::move(slice));
  }
  return all;
}

torch::Tensor Executor::forward(const torch::Tensor& images, NormMode mode,
                                uint64_t drop_seed) const {
  const bool is_watched = observer_ || rounding_;
  if (mode != NormMode::kRunning && !is_watched && can_train(*graph_, parameters_, images)) {
    return run_training_pass(graph_, parameters_, images,
                             {.keeps_statistics = mode == NormMode::kTraining,
                              .drop_seed = mode == NormMode::kTraining ? drop_seed : 0});
  }
  return run_all(images, mode, drop_seed).back();
}

std::vector<torch::Tensor> Executor::outputs(const torch::Tensor& images, NormMode mode) const {
  const std::vector<torch::Tensor> values = run_all(images, mode, 0);
  if (graph_->outputs.empty()) return {values.back()};
  std::vector<torch::Tensor> outputs;
  for (const Output& output : graph_->outputs) outputs.push_back(values[output.op]);
  return outputs;
}

std::vector<torch::Tensor> Executor::run_all(const torch::Tensor& images, NormMode mode,
                                             uint64_t drop_seed) const {
  std::vector<torch::Tensor> values(graph_->ops.size());
  values[0] = rounding_ ? rounding_->value(0, images) : images;
  for (size_t i = 1; i < values.size(); ++i) {
    values[i] = run(i, values, mode, mode == NormMode::kTraining ? drop_seed : 0);
    if (rounding_) values[i] = rounding_->value(i, values[i]);
    if (observer_) observer_(graph_->ops[i], values[i]);
    for (int unused : last_used_by_[i]) values[unused].reset();
  }
  return values;
}

torch::Tensor Executor::run(size_t index, const std::vector<torch::Tensor>& values, NormMode mode,
                            uint64_t drop_seed) const {
  const Op& op = graph_->ops[index];
  // All of an attention is computed by its last op.
  if (const int scores = observer_ || rounding_ ? -1 : attention_[index]; scores >= 0) {
    if (op.kind != OpKind::kAttentionMix) return {};
    const Inputs& sources = graph_->ops[size_t(scores)].inputs;
    return attention(values[size_t(sources[0])], values[size_t(sources[1])],
                     values[size_t(op.inputs[1])], op.output, op.kv_heads);
  }
  std::vector<torch::Tensor> inputs;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const torch::Tensor& input = values[size_t(op.inputs[i])];
    inputs.push_back(rounding_ ? rounding_->input(index, i, input) : input);
  }
  const std::vector<torch::Tensor>& own = parameters_[index];
  return run_op(op, rounding_ && !own.empty() ? rounding_->parameters(index, own) : own, inputs,
                {.constants = graph_->norm,
                 .norm = mode,
                 .drop_seed = drop_seed == 0 ? 0 : drop_seed + index});
}

}  // namespace ridgewalk
