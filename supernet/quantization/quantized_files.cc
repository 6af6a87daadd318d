#include "supernet/quantization/quantized_files.h"

#include <filesystem>
#include <limits>
#include <set>
#include <sstream>

#include "space/error.h"
#include "space/file.h"
#include "space/fold.h"
#include "space/lowering.h"
#include "space/yaml_writer.h"
#include "supernet/formats/safetensors.h"
#include "supernet/quantization/rewrite.h"

namespace ridgewalk {

// How the weights of an op are stored; the scales are beside them.
struct StoredWeight {
  IntegerType type = IntegerType::kS8;
  std::optional<int> axis = {};  // of the output channels; without, one scale is of them all
  std::string rule;
};

struct StoredOp {
  std::string name;
  std::optional<ValueScale> value = {};
  std::optional<StoredWeight> weight = {};
};

void fields(auto& v, Of<ValueScale> auto& value) {
  using Limits = std::numeric_limits<float>;
  v.required("type", value.type);
  v.required("scale", value.scale, Range{Limits::min(), Limits::max()});
  v.required("zero_point", value.zero_point);
  v.required("rule", value.rule);
}

void fields(auto& v, Of<StoredWeight> auto& weight) {
  v.required("type", weight.type);
  v.optional("axis", weight.axis, Range{0, 0});
  v.required("rule", weight.rule);
}

void fields(auto& v, Of<StoredOp> auto& op) {
  v.required("name", op.name);
  v.optional("value", op.value);
  v.optional("weight", op.weight);
}

namespace {

constexpr const char* kHeader =
    "# How each op of architecture.yaml, norms folded in, is stored. real = scale * (integer -\n"
    "# zero_point). Weights and their scales are in model.safetensors, biases int32 at the scale\n"
    "# of the products where the input is an integer. What is not named here is fp32.\n";

std::string file_in(const std::string& folder, const char* name) { return folder + "/" + name; }
std::string architecture_file(const std::string& folder) {
  return file_in(folder, "architecture.yaml");
}
std::string graph_file(const std::string& folder) { return file_in(folder, "quantized.yaml"); }
std::string tensor_file(const std::string& folder) { return file_in(folder, "model.safetensors"); }

std::string scale_name(const Op& op) { return op.name + ".weight_scale"; }

std::string text_of(const QuantizedGraph& quantized) {
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "ops" << YAML::Value << YAML::BeginSeq;
  for (size_t i = 0; i < quantized.graph.ops.size(); ++i) {
    StoredOp op{.name = quantized.graph.ops[i].name, .value = quantized.values[i], .weight = {}};
    if (const std::optional<WeightScale>& weight = quantized.weights[i]) {
      op.weight = {.rule = weight->rule};
      if (weight->scales.size() > 1) op.weight->axis = 0;
    }
    if (!op.value && !op.weight) continue;
    out << YAML::BeginMap;
    FieldWriter writer(out);
    fields(writer, op);
    out << YAML::EndMap;
  }
  out << YAML::EndSeq << YAML::EndMap;
  return std::string(kHeader) + out.c_str() + "\n";
}

void require_type(const YamlSource& source, const StoredOp& op, OpKind kind) {
  if (op.value) {
    const int low = lowest(op.value->type), high = highest(op.value->type);
    if (op.value->zero_point < low || op.value->zero_point > high) {
      source.fail("'zero_point' of " + op.name + " is " + std::to_string(op.value->zero_point) +
                  "; " + std::string(to_string(op.value->type)) + " holds " + std::to_string(low) +
                  " to " + std::to_string(high));
    }
  }
  if (!op.weight) return;
  if (!multiplies_weights(kind)) {
    source.fail(op.name + " has no weights: it is " + std::string(to_string(kind)));
  }
  if (op.weight->type != IntegerType::kS8) source.fail("weights of " + op.name + " must be s8");
}

// Without the scales of the weights.
QuantizedGraph read_graph(const Architecture& architecture, const std::string& path) {
  QuantizedGraph quantized{
      .graph = fold_norms(lower(architecture)).graph, .values = {}, .weights = {}};
  for (Op& op : quantized.graph.ops) op.shared_name.clear();  // biases have scales of their own
  const std::vector<Op>& ops = quantized.graph.ops;
  quantized.values.resize(ops.size());
  quantized.weights.resize(ops.size());
  FieldReader reader(parse_yaml(read_file(path), path));
  const YamlSource list = reader.child("ops");
  reader.finish();
  if (!list.node.IsSequence()) list.fail("'ops' must be a list");
  size_t next = 0;
  for (const YAML::Node& node : list.node) {
    FieldReader item({node, path});
    StoredOp op;
    fields(item, op);
    item.finish();
    size_t i = next;
    while (i < ops.size() && ops[i].name != op.name) ++i;
    if (i == ops.size()) {
      item.source().fail("'" + op.name +
                         "' is no op of architecture.yaml, or not in its order; quantize again");
    }
    next = i + 1;
    require_type(item.source(), op, ops[i].kind);
    quantized.values[i] = std::move(op.value);
    if (!op.weight) continue;
    quantized.weights[i] = {.scales = {}, .rule = op.weight->rule};
    if (op.weight->axis) quantized.weights[i]->scales.resize(size_t(ops[i].output.channels));
  }
  return quantized;
}

// Takes tensors of a file by name, as what they must be.
class TensorReader {
 public:
  TensorReader(const TensorFile& file, const std::string& path) : path_(path) {
    for (const auto& [name, tensor] : file.tensors) tensors_.emplace(name, tensor);
  }

  torch::Tensor take(const std::string& name, torch::ScalarType type,
                     const std::vector<int64_t>& shape) {
    const auto found = tensors_.extract(name);
    if (found.empty()) fail(name, "is missing");
    const torch::Tensor& tensor = found.mapped();
    if (tensor.scalar_type() != type || tensor.sizes() != shape) {
      std::ostringstream what;
      what << "is " << tensor.scalar_type() << ' ' << tensor.sizes() << ", expected " << type << ' '
           << c10::IntArrayRef(shape);
      fail(name, what.str());
    }
    if (tensor.is_floating_point() && !tensor.isfinite().all().item<bool>()) {
      fail(name, "holds NaN or infinity");
    }
    return tensor;
  }

  std::vector<float> scales(const std::string& name, size_t count) {
    const torch::Tensor tensor = take(name, torch::kFloat, {int64_t(count)});
    if (!tensor.ge(std::numeric_limits<float>::min()).all().item<bool>()) {
      fail(name, "holds a scale that is not positive");
    }
    const auto* begin = tensor.data_ptr<float>();
    return {begin, begin + count};
  }

  void finish() const {
    if (!tensors_.empty()) fail(tensors_.begin()->first, "is not of this network");
  }

 private:
  [[noreturn]] void fail(const std::string& name, const std::string& what) const {
    throw Error(path_, 0, "tensor '" + name + "' " + what + "; quantize again");
  }

  std::string path_;
  std::map<std::string, torch::Tensor> tensors_;
};

torch::ScalarType type_of(const QuantizedGraph& quantized, size_t i, ParameterRole role) {
  if (!quantized.weights[i]) return torch::kFloat;
  if (role == ParameterRole::kWeight) return torch::kChar;
  return quantized.values[size_t(quantized.graph.ops[i].inputs[0])] ? torch::kInt : torch::kFloat;
}

Architecture compared(Architecture architecture) {
  architecture.name.clear();
  architecture.regularization = {};
  return architecture;
}

void require_folder(const std::string& folder) {
  if (is_quantized(folder)) return;
  throw Error(folder, 0,
              path_exists(folder) ? "holds no quantized.yaml; give a folder that quantize wrote"
                                  : "does not exist; give a folder that quantize wrote");
}

}  // namespace

bool is_quantized(const std::string& path) {
  return is_folder(path) && path_exists(graph_file(path));
}

void save_quantized(const std::string& folder, const Architecture& architecture,
                    const QuantizedNetwork& network) {
  const QuantizedGraph& quantized = network.quantized;
  const std::string text = text_of(quantized);
  TensorFile file{.metadata = {{"format", "pt"}}, .tensors = {}};
  if (network.provenance) file.metadata[kProvenanceKey] = to_json(*network.provenance);
  for (size_t i = 0; i < quantized.graph.ops.size(); ++i) {
    for (const Parameter& parameter : parameters(quantized.graph, int(i))) {
      file.tensors.emplace_back(parameter.name, network.tensors.at(parameter.name));
    }
    if (const std::optional<WeightScale>& weight = quantized.weights[i]) {
      file.tensors.emplace_back(scale_name(quantized.graph.ops[i]), torch::tensor(weight->scales));
    }
  }
  std::error_code failed;  // then the first file says so
  std::filesystem::create_directories(folder, failed);
  std::filesystem::remove(graph_file(folder), failed);
  write_safetensors(tensor_file(folder), file);
  write_file(architecture_file(folder), to_yaml(architecture));
  write_file(graph_file(folder), text);
}

QuantizedNetwork load_quantized(const std::string& folder) {
  require_folder(folder);
  const Architecture architecture = load_architecture(architecture_file(folder));
  QuantizedNetwork network{.quantized = read_graph(architecture, graph_file(folder)),
                           .tensors = {}};
  QuantizedGraph& quantized = network.quantized;
  const std::string path = tensor_file(folder);
  const TensorFile file = read_safetensors(path);
  TensorReader reader(file, path);
  for (size_t i = 0; i < quantized.graph.ops.size(); ++i) {
    for (const Parameter& parameter : parameters(quantized.graph, int(i))) {
      const torch::ScalarType type = type_of(quantized, i, parameter.role);
      network.tensors[parameter.name] = reader.take(parameter.name, type, parameter.shape);
    }
    if (std::optional<WeightScale>& weight = quantized.weights[i]) {
      const size_t count = std::max<size_t>(1, weight->scales.size());
      weight->scales = reader.scales(scale_name(quantized.graph.ops[i]), count);
    }
  }
  reader.finish();
  network.provenance = provenance_in(file.metadata, path);
  return network;
}

void require_quantized(const std::string& folder, const Architecture& architecture) {
  require_folder(folder);
  const Architecture own = load_architecture(architecture_file(folder));
  if (compared(own) == compared(architecture)) return;
  throw Error(folder, 0,
              "holds '" + own.name + "', quantised at " + std::to_string(own.resolution) +
                  " pixels of " + std::to_string(own.channels) +
                  (own.channels == 1 ? " channel" : " channels") + " for " +
                  std::to_string(own.classes) + " classes, which is another network; give its " +
                  architecture_file(folder) + " as the network");
}

}  // namespace ridgewalk
