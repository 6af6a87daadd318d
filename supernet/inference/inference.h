// A folded network compiled for one batch size with oneDNN: the path that is measured.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <torch/types.h>

#include "supernet/formats/weights.h"
#include "supernet/network/precision.h"
#include "supernet/quantization/quantized_network.h"

namespace ridgewalk {

// Activations are channels last, weights are packed once, activation functions and residual adds
// run inside the convolution before them, and all values lie in one arena, which every run reuses.
class Inference {
 public:
  // `folded` is a result of fold_norms() on the CPU; any norm left in it uses running statistics.
  // Compiles for at::get_num_threads() threads, which runs must use too. With kBf16, weights and
  // activations are bf16, images and logits stay fp32. Throws Error if oneDNN has no such kernels
  // on this CPU or there is not enough memory, std::invalid_argument for other types.
  Inference(const Network& folded, int batch, DataType precision = DataType::kFp32);
  // A quantised network: integers as quantized_graph.h says, convolutions of them by oneDNN with
  // factors, ReLU and adds inside, all else a pass over bytes; what stays fp32 is fp32. Integers
  // are those of QuantizedExecutor, but where a real number that is rounded differs in its last
  // bit. Throws Error also for zero points of what attention multiplies or gives.
  Inference(const QuantizedNetwork& network, int batch);
  ~Inference();
  Inference(Inference&&) noexcept;
  Inference& operator=(Inference&&) noexcept;

  // images [batch, C, H, W], contiguous fp32 -> logits [batch, classes], or the first of the
  // graph's outputs, a view that the next run overwrites. Throws std::invalid_argument for other
  // images or another number of threads. `clock`, if any, is told how long each step took.
  using StepClock = std::function<void(size_t step, double seconds)>;
  torch::Tensor forward(const torch::Tensor& images, const StepClock& clock = {});

  // All outputs of the last run, fp32 [batch, C, H, W] each, in the order of Graph::outputs: views
  // that the next run overwrites. Of a classifier, the logits.
  std::vector<torch::Tensor> outputs() const;

  // One call to oneDNN, or those of one attention, tile by tile.
  struct Step {
    std::string name;      // of the first op that it computes
    std::vector<int> ops;  // indices in the folded graph; none for the images' reordering
    std::string kernel;    // as oneDNN names it, or what it does
    // In which it computes: int8 where it takes integers as they are. Of the images' step, what
    // they come in.
    DataType type = DataType::kFp32;
  };
  const std::vector<Step>& steps() const;
  // What a step gave, to be asked for by `clock` at that step, for others overwrite it: u8, s8 or
  // fp32 [batch, C, H, W], of attention scores [batch, queries heads, keys]. Not of bf16.
  torch::Tensor value_of_step(size_t step) const;
  const std::vector<int64_t>& image_shape() const;  // [batch, C, H, W]
  size_t arena_bytes() const;       // of all values, at offsets where none disturbs another
  size_t scratchpad_bytes() const;  // of oneDNN's kernels, one for all steps

 private:
  Inference(const QuantizedGraph& quantized, int batch, DataType precision,
            const std::function<torch::Tensor(const std::string&)>& parameter);

  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace ridgewalk
