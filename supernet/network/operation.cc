#include "supernet/network/operation.h"

#include <ATen/CPUGeneratorImpl.h>

#include <stdexcept>

#include "supernet/network/attention.h"
#include "supernet/network/batch_norm.h"
#include "supernet/network/depthwise.h"

namespace ridgewalk {
namespace {

torch::Tensor activated(const torch::Tensor& x, Activation activation) {
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

}  // namespace

torch::Tensor run_op(const Op& op, const std::vector<torch::Tensor>& parameters,
                     const std::vector<torch::Tensor>& inputs, const OpMode& mode) {
  const torch::Tensor x =
      op.drop > 0 && mode.drop_seed != 0 ? dropped(inputs[0], op, mode.drop_seed) : inputs[0];
  const torch::Tensor none;
  switch (op.kind) {
    case OpKind::kInput:
      break;
    case OpKind::kConv:
    case OpKind::kDepthwise: {
      if (op.kind == OpKind::kDepthwise && !op.bias)
        return depthwise_conv(x, parameters[0], op.stride);
      const int64_t padding = (op.kernel - 1) / 2;
      return torch::conv2d(x, parameters[0], op.bias ? parameters[1] : none, op.stride, padding, 1,
                           groups_of(op));
    }
    case OpKind::kLinear:
      return torch::linear(x.flatten(1), parameters[0], parameters[1]);
    case OpKind::kNorm: {
      const auto& [epsilon, momentum] = mode.constants;
      if (mode.norm == NormMode::kRunning) {
        return torch::batch_norm(x, parameters[0], parameters[1], parameters[2], parameters[3],
                                 false, momentum, epsilon, true);
      }
      const bool keeps = mode.norm == NormMode::kTraining;
      return batch_norm(x,
                        {parameters[0], parameters[1], keeps ? parameters[2] : none,
                         keeps ? parameters[3] : none},
                        momentum, epsilon);
    }
    case OpKind::kActivation:
      return activated(x, op.activation);
    case OpKind::kSoftmax:
      return torch::softmax(x, -1);
    case OpKind::kAdd:
      return x + inputs[1];
    case OpKind::kMean: {
      torch::Tensor sum = x;
      for (size_t i = 1; i < inputs.size(); ++i) sum = sum + inputs[i];
      return sum * (1.0 / double(inputs.size()));
    }
    case OpKind::kLayerScale:
      return x * parameters[0].view({1, -1, 1, 1});
    case OpKind::kPool:
      return x.mean({2, 3}, true);
    case OpKind::kSigmoid:
      return torch::sigmoid(x);
    case OpKind::kHardSigmoid:
      return torch::hardsigmoid(x);
    case OpKind::kMultiply:
      return x * inputs[1];
    case OpKind::kAttentionScores:
      return attention_scores(x, inputs[1], op.kv_heads);
    case OpKind::kAttentionMix:
      return attention_mix(x, inputs[1], op.output, op.kv_heads);
    case OpKind::kUpsample:
      return torch::upsample_nearest2d(x, {op.output.height, op.output.width});
  }
  throw std::logic_error("the executor cannot run " + op.name);
}

}  // namespace ridgewalk
