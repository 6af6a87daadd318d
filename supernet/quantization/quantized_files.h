// Quantised networks in files: a folder with
//   architecture.yaml   the network, as any command takes it
//   quantized.yaml      of each op of it, norms folded in: how its value and its weights are stored
//   model.safetensors   int8 weights, int32 biases, what stays fp32, and `NAME.weight_scale`, the
//                       scale of each output channel or one for all
#pragma once

#include <string>

#include "space/architecture.h"
#include "supernet/quantization/quantized_network.h"

namespace ridgewalk {

// Whether the path is such a folder.
bool is_quantized(const std::string& path);

// `network` is the quantised `architecture`. Makes the folder where there is none; quantized.yaml
// is written last. Throws Error where it is not writable.
void save_quantized(const std::string& folder, const Architecture& architecture,
                    const QuantizedNetwork& network);

// What save_quantized() was given, to the same bits. Throws Error naming the file for anything
// else: an op, a scale or a tensor that is missing, unknown or impossible.
QuantizedNetwork load_quantized(const std::string& folder);

// Throws Error where the folder's network is not `architecture`, names and what training drops
// aside: for commands that are given both.
void require_quantized(const std::string& folder, const Architecture& architecture);

}  // namespace ridgewalk
