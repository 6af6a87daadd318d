// What rounding costs, op by op.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "supernet/quantization/post_training.h"
#include "supernet/quantization/quantized_executor.h"

namespace ridgewalk {

// By op of the folded graph: 10 log10(sum x^2 / sum (x - y)^2) in dB, where x is what the op gives
// in fp32 and y in the quantised network, over all images; nothing for ops whose value is not
// changed. Infinite where both are the same.
std::vector<std::optional<double>> signal_to_noise(Network& folded, const QuantizedNetwork& network,
                                                   const CalibrationBatches& batches,
                                                   FloatInputs float_inputs = FloatInputs::kKept);

// Of the logits, in dB, over batches whose logits in fp32 are given.
double logits_signal_to_noise(const QuantizedNetwork& network, const CalibrationBatches& batches,
                              const std::vector<torch::Tensor>& logits);
// Mean over the images of the Kullback-Leibler divergence of the classes' probabilities from those
// in fp32, whose logits are given.
double class_divergence(const QuantizedNetwork& network, const CalibrationBatches& batches,
                        const std::vector<torch::Tensor>& logits);
// In fp32, of each batch: [N, classes].
std::vector<torch::Tensor> exact_logits(Network& folded, const CalibrationBatches& batches);

// What the logits gain when one more op is kept in fp32, in dB of signal to noise.
struct Sensitivity {
  std::string op;
  double gain_db = 0;
};
// Of all convolutions and linear layers that are not kept in fp32 yet, the largest gain first.
std::vector<Sensitivity> sensitivities(const PostTraining& quantization,
                                       const CalibrationBatches& batches);

}  // namespace ridgewalk
