// A network as an ONNX file, for the runtimes of others.
#pragma once

#include <string>

#include "space/graph.h"
#include "supernet/formats/safetensors.h"
#include "supernet/network/parameters.h"

namespace ridgewalk {

// Writes the inference graph, opset 17: input `images` [batch, C, H, W], batch dynamic, output
// `logits` [batch, classes], initialisers under the parameters' own names. Attention is a Reshape
// and Transpose to matrices, MatMul and Softmax. ONNX's checker and its strict shape inference pass
// it before it is written. Throws Error when the path is not writable, std::runtime_error when they
// refuse it.
void write_onnx(const std::string& path, const Graph& graph, const ParameterStore& parameters);

// The float initialisers of an ONNX file that write_onnx() wrote, by name. Throws Error when the
// file is no ONNX model, or a tensor is damaged.
TensorFile read_onnx(const std::string& path);

}  // namespace ridgewalk
