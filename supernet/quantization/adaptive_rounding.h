// Weights rounded up or down as the sums of their layer want it, not each to the nearest integer
// (AdaRound: M. Nagel et al., "Up or down? Adaptive rounding for post-training quantization", 2020,
// arXiv 2004.10568).
#pragma once

#include "supernet/quantization/calibration.h"
#include "supernet/quantization/quantized_network.h"

namespace ridgewalk {

// What a layer is to reproduce, as means over images and positions. A channel with weights w has a
// mean squared error of w inputs w' - 2 w products' and what does not depend on w. G groups of K
// inputs (channels times window) and C outputs; fp64.
struct LayerMoments {
  torch::Tensor inputs;    // [G, K, K], of x x': x is what the rounded network multiplies
  torch::Tensor products;  // [G, C, K], of y x': y is the fp32 network's output, less the bias
  int64_t count = 0;       // of images times positions
};

// Like quantized_weight(): weight [G C, ...] with K numbers for each output, divided by the scale,
// as s8. Each is rounded down or up by soft rounding (the paper's equations 22 to 25) of the
// layer's sums before an activation, by all images in every iteration instead of a batch. The
// squared error of nearest rounding is the unit of the regularisation, so that its strength suits 8
// bits. Where few rows x were seen, other images have others: moments between different inputs
// count for count / (count + 2 K) of what they are. A channel for which nearest rounding has the
// smaller error keeps it. Deterministic.
torch::Tensor round_adaptively(const torch::Tensor& weight, const WeightScale& scale,
                               const LayerMoments& moments);

// All integer weights, layer after layer, so that each also makes up for the rounded values and
// weights before it. As many images are used as first_images() takes. Throws Error when there are
// none.
void round_adaptively(QuantizedNetwork& network, Network& folded,
                      const CalibrationBatches& batches);

}  // namespace ridgewalk
