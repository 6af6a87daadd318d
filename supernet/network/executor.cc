#include "supernet/network/executor.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>

#include "supernet/network/batch_norm.h"
#include "supernet/network/depthwise.h"

namespace ridgewalk {
namespace {

torch::Tensor activate(const torch::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return torch::relu(x);
    case Activation::kRelu6:
      return torch::clamp(x, 0, 6);
    case Activation::kHardSwish:
      return torch::hardswish(x);
    case Activation::kSilu:
      return torch::silu(x);
    case Activation::kGelu:
      return torch::gelu(x);
  }
  return x;
}

// Drops whole images of an add's branch, or single features of a linear layer's input. Drawn on the
// CPU: alike on every device. A GPU is not waited for.
torch::Tensor dropped(const torch::Tensor& x, const Op& op, uint64_t seed) {
  std::vector<int64_t> shape(size_t(x.dim()), 1);
  shape[0] = x.size(0);
  if (op.kind == OpKind::kLinear) shape[1] = x.size(1);
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed * 0x9e3779b97f4a7c15ull);
  const auto kept = torch::empty(shape).bernoulli_(1 - op.drop, generator) / (1 - op.drop);
  return x * kept.to(x.device(), x.scalar_type(), /*non_blocking=*/true);
}

// [N, C, H, W] -> [N, H W, C]: a view of a channels_last tensor.
torch::Tensor positions_first(const torch::Tensor& x) {
  return x.permute({0, 2, 3, 1}).reshape({x.size(0), x.size(2) * x.size(3), x.size(1)});
}

// One key head serves all query heads, so the queries of all positions and heads form one matrix
// [H W heads, key_dim] per image, and the scores are a single product (MobileNetV4, appendix G).
torch::Tensor attention_scores(const torch::Tensor& query, const torch::Tensor& key) {
  const int64_t key_dim = key.size(1);
  const auto q = positions_first(query).reshape({query.size(0), -1, key_dim});
  return torch::bmm(q * (1 / std::sqrt(double(key_dim))), positions_first(key).transpose(1, 2));
}

torch::Tensor attention_mix(const torch::Tensor& weights, const torch::Tensor& value,
                            const Shape& output) {
  const auto mixed = torch::bmm(weights, positions_first(value));
  return mixed.reshape({mixed.size(0), output.height, output.width, output.channels})
      .permute({0, 3, 1, 2});
}

}  // namespace

Executor::Executor(Graph graph, ParameterStore& store, size_t leaves) : graph_(std::move(graph)) {
  const size_t count = graph_.ops.size();
  std::vector<size_t> last_use(count, count), uses(count);
  for (size_t i = 0; i < count; ++i) {
    auto& own = parameters_.emplace_back();
    for (const Parameter& parameter : parameters(graph_, int(i))) {
      own.push_back(store.slice(parameter.name, parameter.shape, leaves));
    }
    for (int input : graph_.ops[i].inputs) {
      last_use[input] = i;
      ++uses[input];
    }
  }
  only_relu_follows_.resize(count);
  for (size_t i = 1; i < count; ++i) {
    const Op& op = graph_.ops[i];
    const size_t before = size_t(op.inputs[0]);
    if (op.kind == OpKind::kActivation && op.activation == Activation::kRelu && op.drop == 0 &&
        graph_.ops[before].kind == OpKind::kNorm && uses[before] == 1) {
      only_relu_follows_[before] = true;
    }
  }
  last_used_by_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    if (last_use[i] < count) last_used_by_[last_use[i]].push_back(int(i));
  }
}

std::vector<torch::Tensor> Executor::learned() const {
  std::vector<torch::Tensor> learned;
  for (const auto& own : parameters_) {
    for (const torch::Tensor& slice : own) {
      const bool is_known =
          std::any_of(learned.begin(), learned.end(),
                      [&](const torch::Tensor& known) { return known.is_same(slice); });
      if (slice.requires_grad() && !is_known) learned.push_back(slice);
    }
  }
  return learned;
}

torch::Tensor Executor::forward(const torch::Tensor& images, NormMode mode,
                                uint64_t drop_seed) const {
  std::vector<torch::Tensor> values(graph_.ops.size());
  values[0] = images;
  for (size_t i = 1; i < values.size(); ++i) {
    values[i] = run(i, values, mode, mode == NormMode::kTraining ? drop_seed : 0);
    if (observer_) observer_(graph_.ops[i], values[i]);
    for (int unused : last_used_by_[i]) values[unused].reset();
  }
  return values.back();
}

torch::Tensor Executor::run(size_t index, const std::vector<torch::Tensor>& values, NormMode mode,
                            uint64_t drop_seed) const {
  const Op& op = graph_.ops[index];
  const auto& own = parameters_[index];
  const torch::Tensor& input = values[op.inputs[0]];
  const torch::Tensor x =
      op.drop > 0 && drop_seed != 0 ? dropped(input, op, drop_seed + index) : input;
  const torch::Tensor none;
  const bool joins_relu = mode != NormMode::kRunning && !observer_;
  switch (op.kind) {
    case OpKind::kInput:
      break;
    case OpKind::kConv:
    case OpKind::kDepthwise: {
      if (op.kind == OpKind::kDepthwise && !op.bias) return depthwise_conv(x, own[0], op.stride);
      const int64_t padding = (op.kernel - 1) / 2;
      const int64_t groups = op.kind == OpKind::kDepthwise ? op.output.channels : 1;
      return torch::conv2d(x, own[0], op.bias ? own[1] : none, op.stride, padding, 1, groups);
    }
    case OpKind::kLinear:
      return torch::linear(x.flatten(1), own[0], own[1]);
    case OpKind::kNorm: {
      const auto& [epsilon, momentum] = graph_.norm;
      if (mode == NormMode::kRunning) {
        return torch::batch_norm(x, own[0], own[1], own[2], own[3], false, momentum, epsilon, true);
      }
      const bool keeps = mode == NormMode::kTraining;
      return batch_norm(x, {own[0], own[1], keeps ? own[2] : none, keeps ? own[3] : none}, momentum,
                        epsilon, joins_relu && only_relu_follows_[index]);
    }
    case OpKind::kActivation:
      if (joins_relu && only_relu_follows_[size_t(op.inputs[0])]) return x;  // applied already
      return activate(x, op.activation);
    case OpKind::kSoftmax:
      return torch::softmax(x, -1);
    case OpKind::kAdd:
      return x + values[op.inputs[1]];
    case OpKind::kMean: {
      torch::Tensor sum = x;
      for (size_t i = 1; i < op.inputs.size(); ++i) sum = sum + values[op.inputs[i]];
      return sum * (1.0 / double(op.inputs.size()));
    }
    case OpKind::kLayerScale:
      return x * own[0].view({1, -1, 1, 1});
    case OpKind::kPool:
      return x.mean({2, 3}, true);
    case OpKind::kSigmoid:
      return torch::sigmoid(x);
    case OpKind::kHardSigmoid:
      return torch::hardsigmoid(x);
    case OpKind::kMultiply:
      return x * values[op.inputs[1]];
    case OpKind::kAttentionScores:
      return attention_scores(x, values[op.inputs[1]]);
    case OpKind::kAttentionMix:
      return attention_mix(x, values[op.inputs[1]], op.output);
  }
  throw std::logic_error("the executor cannot run " + op.name);
}

}  // namespace ridgewalk
