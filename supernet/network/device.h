// The device that networks run on.
#pragma once

#include <string>

#include <torch/types.h>

namespace ridgewalk {

// The device that `--device` names: "cpu" or "cuda". On CUDA, cuDNN then takes only kernels whose
// result does not depend on timing, so that a resumed run equals an uninterrupted one there too.
// Throws Error for any other name, and says what is missing where CUDA cannot be used.
torch::Device device_named(const std::string& name);

}  // namespace ridgewalk
