// bf16 or fp32, where the machine is asked.
#pragma once

#include <optional>
#include <string_view>

#include <torch/torch.h>

namespace ridgewalk {

enum class Precision { kFp32, kBf16 };
std::string_view to_string(Precision precision);

// "fp32", "bf16", or "auto": bf16 where the CPU multiplies it in hardware (AVX512-BF16, AMX, Arm
// BF16) or on a GPU, fp32 elsewhere. Throws Error for another name.
Precision precision_named(std::string_view name, torch::Device device);

// Runs convolutions, linear layers and attention products in bf16 while it lives (autocast);
// weights, norms' statistics and gradients of weights stay fp32. For fp32 it does nothing.
class Autocast {
 public:
  Autocast(Precision precision, torch::Device device);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  torch::Device device_;
  bool active_;
};

// Whether an Autocast to bf16 lives.
bool computes_in_bf16(torch::Device device);

}  // namespace ridgewalk
