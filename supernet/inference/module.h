// All that inference asks of oneDNN, behind two functions: linked into the program, or in a module
// where LibTorch brings another oneDNN (module.cc). Only for the .cc files of inference.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "supernet/inference/inference.h"

namespace ridgewalk {

// Steps that compute a network, in order.
class CompiledNetwork {
 public:
  virtual ~CompiledNetwork() = default;
  virtual size_t size() const = 0;  // number of steps
  virtual void run_step(size_t step) = 0;
  // What it computed; until another step writes there.
  virtual const void* value_of_step(size_t step) const = 0;
  virtual void set_input(const void* bytes) = 0;
  virtual const void* output(size_t index) const = 0;  // in the order of the graph's outputs
  virtual size_t arena_bytes() const = 0;
  virtual size_t scratchpad_bytes() const = 0;
};

// The tensor of a parameter, by name.
using ParameterOf = std::function<torch::Tensor(const std::string&)>;

struct OneDnn {
  // Turns the ops of a network whose norms are folded into steps, in the order of the graph. What
  // has no scales is computed in `precision`. Throws std::runtime_error for what oneDNN cannot run
  // on this machine.
  std::unique_ptr<CompiledNetwork> (*compile)(const QuantizedGraph& quantized,
                                              const ParameterOf& parameter, int batch,
                                              DataType precision,
                                              std::vector<Inference::Step>& steps);
  // A function that multiplies two matrices [size, size]; empty if oneDNN has no optimised kernel
  // for the type on this CPU.
  std::function<void()> (*product)(DataType type, int64_t size);
};

// Throws Error when the module cannot be loaded.
const OneDnn& one_dnn();

}  // namespace ridgewalk

extern "C" const ridgewalk::OneDnn* ridgewalk_one_dnn();
