#include "supernet/formats/onnx.h"

#include <cstring>
#include <filesystem>
#include <set>

#include <onnx/common/version.h>
#include <onnx/defs/schema.h>

#include "space/error.h"
#include "space/file.h"
#include "supernet/formats/onnx_graph.h"

namespace ridgewalk {
namespace {

constexpr size_t kLargestFile = size_t{1} << 31;  // protobuf's own limit

class FloatGraph : public OnnxGraph {
 public:
  FloatGraph(const Graph& graph, const ParameterStore& parameters, const OnnxOptions& options)
      : OnnxGraph(graph, options), parameters_(parameters) {}

 private:
  void add_parameter(int, const Parameter& parameter) override {
    initializer(parameter.name, parameters_.full(parameter.name));
  }

  const ParameterStore& parameters_;
};

}  // namespace

void write_onnx(const std::string& path, const Graph& graph, const ParameterStore& parameters,
                const std::optional<Provenance>& provenance, const OnnxOptions& options) {
  if (parameters.values().nbytes() >= kLargestFile) {
    throw Error(path, 0, "'" + graph.name + "' is too large for ONNX; write safetensors");
  }
  FloatGraph(graph, parameters, options).write(path, provenance);
}

std::string onnx_version() {
  const auto& opsets = onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map();
  return std::string(onnx::LAST_RELEASE_VERSION) + " (opset " +
         std::to_string(opsets.at("").second) + ")";
}

OnnxFile read_onnx(const std::string& path) {
  std::error_code unreadable;
  if (std::filesystem::is_regular_file(path, unreadable) &&
      std::filesystem::file_size(path, unreadable) >= kLargestFile) {
    throw Error(path, 0, "is larger than ONNX files can be");
  }
  const std::string bytes = read_file(path);
  onnx::ModelProto model;
  if (!model.ParseFromString(bytes) || !model.has_graph()) {
    throw Error(path, 0, "is not an ONNX model, or cut off");
  }
  OnnxFile file;
  for (const onnx::NodeProto& node : model.graph().node()) {
    file.is_quantized = file.is_quantized || node.op_type() == "DequantizeLinear";
  }
  for (const onnx::ValueInfoProto& output : model.graph().output()) {
    file.outputs.push_back(output.name());
  }
  for (const onnx::StringStringEntryProto& entry : model.metadata_props()) {
    file.metadata[entry.key()] = entry.value();
  }
  std::set<std::string> seen;
  for (const onnx::TensorProto& proto : model.graph().initializer()) {
    // Shapes and constants that the writer adds are not weights.
    const bool is_scalar = proto.dims_size() == 0;
    if (proto.data_type() != onnx::TensorProto::FLOAT || is_scalar) continue;
    std::vector<int64_t> shape;
    uint64_t elements = 1;
    bool fits = true;
    for (int64_t size : proto.dims()) {
      fits = fits && size >= 0 && (size == 0 || elements <= kLargestFile / uint64_t(size));
      elements = fits ? elements * uint64_t(size) : 0;
      shape.push_back(size);
    }
    if (!fits || shape.size() > 8 || proto.raw_data().size() != elements * sizeof(float)) {
      throw Error(path, 0,
                  "tensor '" + proto.name() + "' does not fill its shape; export it again");
    }
    if (!seen.insert(proto.name()).second) {
      throw Error(path, 0, "names tensor '" + proto.name() + "' twice");
    }
    torch::Tensor tensor = torch::empty(shape);
    if (elements > 0) {  // without, there is no memory to copy to
      std::memcpy(tensor.data_ptr(), proto.raw_data().data(), proto.raw_data().size());
    }
    file.tensors.emplace_back(proto.name(), std::move(tensor));
  }
  return file;
}

}  // namespace ridgewalk
