// Rounded weights move the mean of what a layer gives; its bias moves it back (M. Nagel et al.,
// "Data-free quantization through weight equalization and bias correction", 2019, arXiv 1906.04721,
// section 4.2).
#pragma once

#include <vector>

#include "supernet/quantization/calibration.h"
#include "supernet/quantization/quantized_network.h"

namespace ridgewalk {

// By data: layer after layer, so that each bias also makes up for the rounded values before it, to
// the means that the folded network has over these images. So many images are used as fit in 1 GiB
// per value. Throws Error when there are none.
void correct_biases(QuantizedNetwork& network, Network& folded, const CalibrationBatches& batches);

// Without data: by the mean of each input channel that its norm and activation say, where Gaussian
// with the norm's weight and bias (appendix C of the paper, for any activation, by quadrature).
// `graph` and `parameters` have norms that are not folded. A layer keeps its bias where that of an
// input is not known: after a pool's gate, attention or the image. Returns the number of layers
// corrected.
int correct_biases(QuantizedNetwork& network, const Network& folded, const Graph& graph,
                   const ParameterStore& parameters);

}  // namespace ridgewalk
