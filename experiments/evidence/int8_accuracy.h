// What int8 leaves of a trained network.
#pragma once

#include <string>

#include "space/architecture.h"
#include "supernet/training/evaluate.h"

namespace ridgewalk {

// On the test images, with weights and values rounded after training as `quantize` does by its
// defaults. `seed` is of the training images that ranges are of. On the CPU, whatever `compute`
// says. Throws Error for weights that are not the architecture's, or whose values are not finite.
Accuracy int8_accuracy(const Architecture& architecture, const std::string& weights,
                       const Dataset& data, uint64_t seed, Compute compute);

}  // namespace ridgewalk
