// A network as an ONNX file, for the runtimes of others.
#pragma once

#include <optional>
#include <string>

#include "space/graph.h"
#include "supernet/formats/provenance.h"
#include "supernet/formats/safetensors.h"
#include "supernet/network/parameters.h"

namespace ridgewalk {

// Writes the inference graph, opset 17: input `images` [batch, C, H, W], batch dynamic, output
// `logits` [batch, classes], initialisers under the parameters' own names. Attention is a Reshape
// and Transpose to matrices, MatMul and Softmax. `provenance` goes into metadata_props. ONNX's
// checker and its strict shape inference check the model before it is written. Throws Error when
// the path is not writable, std::runtime_error when they refuse it.
void write_onnx(const std::string& path, const Graph& graph, const ParameterStore& parameters,
                const std::optional<Provenance>& provenance = std::nullopt);

// Of the ONNX that this was compiled with, and the newest operator set that the loaded one knows:
// "1.12.0 (opset 17)".
std::string onnx_version();

// The float initialisers of an ONNX file that write_onnx() wrote, by name, and its metadata_props.
// Throws Error when the file is no ONNX model, or a tensor is damaged.
TensorFile read_onnx(const std::string& path);

}  // namespace ridgewalk
