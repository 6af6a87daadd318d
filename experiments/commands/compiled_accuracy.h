// Accuracy of networks as inference compiles them: of what is measured and deployed.
#pragma once

#include <functional>
#include <memory>

#include "supernet/inference/inference.h"
#include "supernet/training/evaluate.h"

namespace ridgewalk {

// On the test images, `batch_size` at a time. `compile` is called once for each lane.
using CompileBatch = std::function<std::unique_ptr<Inference>(int batch)>;
Accuracy compiled_accuracy(const CompileBatch& compile, const Graph& graph, const Dataset& data,
                           const Compute& compute, int batch_size);

}  // namespace ridgewalk
