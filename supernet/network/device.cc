#include "supernet/network/device.h"

#include <ATen/Context.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/cuda.h>

#include "space/error.h"
#include "space/suggestion.h"

namespace ridgewalk {

torch::Device device_named(const std::string& name) {
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
  return torch::kCUDA;
}

}  // namespace ridgewalk
