// A network as an ONNX file, for the runtimes of others.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "space/features.h"
#include "space/graph.h"
#include "supernet/formats/provenance.h"
#include "supernet/formats/safetensors.h"
#include "supernet/network/parameters.h"

namespace ridgewalk {

// What the readers of an ONNX file ask for.
struct OnnxOptions {
  int opset = 17;  // of the operators: kOldestOpset to kNewestOpset
  int batch = 0;   // images, where the reader cannot take any number; 0 leaves it open
  // Maps that are the outputs in place of the logits, under their own names, in the order of their
  // ops as feature_maps() gives them. What comes after the last of them is left out.
  std::vector<FeatureMap> features = {};
};
inline constexpr int kOldestOpset = 11, kNewestOpset = 17;  // the newest of Debian 12's ONNX

// Writes the inference graph: input `images` [batch, C, H, W], output `logits` [batch, classes]
// or the outputs that the graph names, initialisers under the parameters' own names. Attention is a
// Reshape and Transpose to matrices, MatMul and Softmax. `provenance` goes into metadata_props.
// ONNX's checker and its strict shape inference check the model before it is written. Throws Error
// when the path is not writable, std::runtime_error when they refuse it.
void write_onnx(const std::string& path, const Graph& graph, const ParameterStore& parameters,
                const std::optional<Provenance>& provenance = std::nullopt,
                const OnnxOptions& options = {});

// Of the ONNX that this was compiled with, and the newest operator set that the loaded one knows:
// "1.12.0 (opset 17)".
std::string onnx_version();

// The float initialisers of an ONNX file that write_onnx() wrote, by name, and its metadata_props.
struct OnnxFile : TensorFile {
  std::vector<std::string> outputs;  // their names
  bool is_quantized = false;         // holds integers and operations that scale them
};
// Throws Error when the file is no ONNX model, or a tensor is damaged.
OnnxFile read_onnx(const std::string& path);

}  // namespace ridgewalk
