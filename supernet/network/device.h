// The device that networks run on.
#pragma once

#include <optional>
#include <string>

#include <torch/types.h>

namespace ridgewalk {

// The device that `--device` names: "cpu" or "cuda". On CUDA, cuDNN then takes only kernels whose
// result does not depend on timing, so that a resumed run equals an uninterrupted one there too.
// Throws Error for any other name, and says what is missing where CUDA cannot be used. Of several
// processes on a machine, each takes the GPU of its number; it is then the calling thread's current
// one, too.
torch::Device device_named(const std::string& name, std::optional<int> process = {});

// Throws Error where `gpus` are too few for the process of this number, from 0.
void require_gpu(int process, int gpus);

}  // namespace ridgewalk
