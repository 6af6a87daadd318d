#include "experiments/evidence/int8_accuracy.h"

#include "space/lowering.h"
#include "supernet/formats/weights.h"
#include "supernet/quantization/post_training.h"
#include "supernet/quantization/quantized_executor.h"
#include "supernet/training/calibration_images.h"

namespace ridgewalk {

Accuracy int8_accuracy(const Architecture& architecture, const std::string& weights,
                       const Dataset& data, uint64_t seed, Compute compute) {
  constexpr int64_t kImages = 1000, kAtOnce = 250;
  compute.device = torch::kCPU;
  compute.precision = DataType::kFp32;
  const Graph graph = lower(architecture);
  const Network network = load_network(weights, graph, torch::kCPU);
  const PostTraining quantization(network, calibration_batches(data, graph, kImages, kAtOnce, seed),
                                  {});
  const QuantizedNetwork quantized = quantization.quantized();
  const QuantizedExecutor executor(quantized, Products::kFast, FloatInputs::kKept);
  return evaluate([&](const torch::Tensor& images) { return executor.forward(images); },
                  quantized.quantized.graph, data, data.test, compute,
                  {.batch_size = kAtOnce, .of_all_classes = true});
}

}  // namespace ridgewalk
