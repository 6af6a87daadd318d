// Cross-layer equalisation (M. Nagel et al., "Data-free quantization through weight equalization
// and bias correction", 2019, arXiv 1906.04721, section 4.1).
#pragma once

#include <cstdint>

#include "supernet/formats/weights.h"

namespace ridgewalk {

// Scales the channels between two convolutions, one read by the other alone, directly or through a
// ReLU, so that the largest weights of each channel on both sides are the same. A factor that the
// first one gains is taken from the second one: the network's function stays. ReLU6 and the curved
// activations do not let factors through. `folded` is a result of fold_norms(). Returns the number
// of pairs.
int equalize(Network& folded);

}  // namespace ridgewalk
