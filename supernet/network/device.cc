#include "supernet/network/device.h"

#include <ATen/Context.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/cuda.h>

#include "space/error.h"
#include "space/suggestion.h"

namespace ridgewalk {

torch::Device device_named(const std::string& name, std::optional<int> process) {
  if (name == "cpu") return torch::kCPU;
  if (name != "cuda") {
    throw Error("no device is named '" + name + "'; " + suggestion(name, {"cpu", "cuda"}));
  }
  if (!c10::impl::hasDeviceGuardImpl(torch::kCUDA)) {
    throw Error(
        "this ridgewalk was built with a LibTorch without CUDA; .github/CONTRIBUTING.md says "
        "how to build one with it");
  }
  if (!torch::cuda::is_available()) {
    throw Error(
        "LibTorch finds no GPU, or no driver that is new enough for it; `nvidia-smi` must "
        "list one");
  }
  at::globalContext().setDeterministicCuDNN(true);
  if (!process) return torch::kCUDA;
  require_gpu(*process, int(torch::cuda::device_count()));
  const torch::Device own(torch::kCUDA, c10::DeviceIndex(*process));
  c10::impl::getDeviceGuardImpl(torch::kCUDA)->setDevice(own);
  return own;
}

void require_gpu(int process, int gpus) {
  if (process < gpus) return;
  throw Error("process " + std::to_string(process) +
              " of this machine (counted from 0) sees only " + std::to_string(gpus) +
              (gpus == 1 ? " GPU" : " GPUs") +
              "; start no more processes on a machine than it has GPUs, and let "
              "each see all of them (srun --gpu-bind=none)");
}

}  // namespace ridgewalk
