// The data type that a network computes in: fp32, or bf16 where that is faster.
#pragma once

#include <string_view>

#include <torch/types.h>

#include "space/data_type.h"

namespace ridgewalk {

// "fp32", "bf16", or "auto": bf16 where the CPU multiplies it in hardware (AVX512-BF16, AMX, Arm
// BF16), which need not be faster, or on a GPU; fp32 elsewhere. Throws Error for any other name, of
// a data type that networks do not compute in too.
DataType precision_named(std::string_view name, torch::Device device);

// While it lives, convolutions, linear layers and attention products run in bf16 (autocast);
// weights, their gradients and the statistics of norms stay fp32. For fp32 it does nothing.
class Autocast {
 public:
  Autocast(DataType precision, torch::Device device);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  torch::Device device_;
  bool active_;
};

// Whether an Autocast to bf16 is alive.
bool computes_in_bf16(torch::Device device);

}  // namespace ridgewalk
