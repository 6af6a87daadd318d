// Batch norm in training.
#pragma once

#include <torch/torch.h>

namespace ridgewalk {

// What a norm has learned and keeps, [C] each; the running ones are undefined where none are kept.
struct NormParameters {
  torch::Tensor weight, bias, running_mean, running_variance;
};

// x [N, C, H, W] normalised by this batch's statistics, then ReLU if so said. As
// torch::batch_norm() in training, with its gradients and its update of the running statistics (the
// variance that is kept is the unbiased one). LibTorch 1.13's kernels for this are a third of a
// training step on a CPU; these take x as channels_last in fp32 or bf16, in which they also return
// it, and pass anything else to LibTorch.
torch::Tensor batch_norm(const torch::Tensor& x, const NormParameters& parameters, double momentum,
                         double epsilon, bool relu);

}  // namespace ridgewalk
