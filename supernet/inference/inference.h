// The path that is measured: a folded network compiled for one batch size, by oneDNN.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "supernet/formats/weights.h"
#include "supernet/network/precision.h"

namespace ridgewalk {

// Activations lie channels last, weights are packed once, activation functions and residual adds
// run inside the convolution before them, and every value has its place in one arena, which runs
// reuse.
class Inference {
 public:
  // `folded` as fold_norms() gives it, on the CPU; a norm that is left normalises with running
  // statistics. Compiles for at::get_num_threads() threads: runs want as many.
  // In kBf16 weights and activations are bf16, images and logits stay fp32. Throws Error where
  // oneDNN has no such kernels on this CPU, or no memory.
  Inference(const Network& folded, int batch, Precision precision = Precision::kFp32);
  ~Inference();
  Inference(Inference&&) noexcept;
  Inference& operator=(Inference&&) noexcept;

  // images [batch, C, H, W], contiguous fp32 -> logits [batch, classes], a view that the next run
  // overwrites. Throws std::invalid_argument for other images or threads. The clock, if any, is
  // told how long each step took.
  using StepClock = std::function<void(size_t step, double seconds)>;
  torch::Tensor forward(const torch::Tensor& images, const StepClock& clock = {});

  // One call of oneDNN.
  struct Step {
    std::string name;      // of the first op that it stands for
    std::vector<int> ops;  // indices in the folded graph; none for the images' change of layout
    std::string kernel;    // oneDNN's name of it
  };
  const std::vector<Step>& steps() const;
  const std::vector<int64_t>& image_shape() const;  // [batch, C, H, W]
  size_t arena_bytes() const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace ridgewalk
