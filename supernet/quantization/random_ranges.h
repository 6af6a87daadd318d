// Integers for networks whose accuracy does not matter.
#pragma once

#include "supernet/formats/weights.h"
#include "supernet/quantization/quantized_network.h"
#include "supernet/quantization/rewrite.h"

namespace ridgewalk {

// Quantised by the ranges of a few random images: to measure its latency. Throws Error where values
// are not finite.
QuantizedNetwork quantized_for_timing(Network& folded, RewriteOptions options = {});

}  // namespace ridgewalk
