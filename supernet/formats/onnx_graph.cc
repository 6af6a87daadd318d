#include "supernet/formats/onnx_graph.h"

#include <cmath>
#include <stdexcept>

#include <onnx/checker.h>
#include <onnx/defs/schema.h>
#include <onnx/shape_inference/implementation.h>

#include "space/error.h"
#include "space/file.h"

namespace ridgewalk {
namespace {

// The version of the file format that came with a set of operators (ONNX's docs/Versioning.md).
int ir_version(int opset) { return opset >= 15 ? 8 : opset >= 12 ? 7 : 6; }

int onnx_type(torch::ScalarType type) {
  switch (type) {
    case torch::kFloat:
      return onnx::TensorProto::FLOAT;
    case torch::kLong:
      return onnx::TensorProto::INT64;
    case torch::kInt:
      return onnx::TensorProto::INT32;
    case torch::kChar:
      return onnx::TensorProto::INT8;
    case torch::kByte:
      return onnx::TensorProto::UINT8;
    default:
      throw std::invalid_argument("no tensor of this type is written to ONNX");
  }
}

}  // namespace

void OnnxGraph::write(const std::string& path, const std::optional<Provenance>& provenance) {
  onnx::ModelProto model;
  model.set_ir_version(ir_version(options_.opset));
  model.set_producer_name("ridgewalk");
  onnx::OperatorSetIdProto& opset = *model.add_opset_import();
  opset.set_domain("");
  opset.set_version(options_.opset);
  add_nodes();
  model.mutable_graph()->Swap(&proto_);
  if (provenance) {
    onnx::StringStringEntryProto& entry = *model.add_metadata_props();
    entry.set_key(kProvenanceKey);
    entry.set_value(to_json(*provenance));
  }
  onnx::checker::check_model(model);
  const onnx::ShapeInferenceOptions strict(true, 1, true);
  onnx::shape_inference::InferShapes(model, onnx::OpSchemaRegistry::Instance(), strict);
  std::string bytes;
  if (!model.SerializeToString(&bytes)) {
    throw Error(path, 0, "'" + graph_.name + "' is too large for ONNX; write safetensors");
  }
  write_file(path, bytes);
}

void OnnxGraph::add_nodes() {
  proto_.set_name(graph_.name);
  const Shape& input = graph_.ops[0].output;
  describe(*proto_.add_input(), "images", {input.channels, input.height, input.width});
  names_.push_back(stored(0, "images"));
  std::vector<Output> maps = graph_.outputs;
  if (!options_.features.empty()) maps.clear();
  for (const FeatureMap& map : options_.features) maps.push_back({map.name, map.op});
  const int last = maps.empty() ? int(graph_.ops.size()) - 1 : maps.back().op;
  auto map = maps.begin();
  for (int i = 1; i <= last; ++i) {
    const Op& op = graph_.ops[size_t(i)];
    if (!shares_earlier(graph_, i)) {
      for (const Parameter& parameter : parameters(graph_, i)) add_parameter(i, parameter);
    }
    names_.push_back(stored(i, add_op(i)));
    if (map == maps.end() || map->op != i) continue;
    output(map->name, {op.output.channels, op.output.height, op.output.width});
    ++map;
  }
  if (maps.empty()) output("logits", {graph_.ops.back().output.channels});
}

std::string OnnxGraph::stored(int, const std::string& value) { return value; }

bool OnnxGraph::is_integer(int) const { return false; }

onnx::NodeProto& OnnxGraph::add(const char* type, const std::string& output, const Names& inputs) {
  onnx::NodeProto& proto = *proto_.add_node();
  proto.set_op_type(type);
  proto.set_name(output);
  for (const std::string& input : inputs) proto.add_input(input);
  proto.add_output(output);
  return proto;
}

std::string OnnxGraph::node(const char* type, const std::string& output, const Names& inputs) {
  add(type, output, inputs);
  return output;
}

void OnnxGraph::describe(onnx::ValueInfoProto& value, const std::string& name,
                         const std::vector<int>& sizes) const {
  value.set_name(name);
  auto& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx::TensorProto::FLOAT);
  auto& batch = *tensor.mutable_shape()->add_dim();
  if (options_.batch > 0) {
    batch.set_dim_value(options_.batch);
  } else {
    batch.set_dim_param("batch");
  }
  for (int size : sizes) tensor.mutable_shape()->add_dim()->set_dim_value(size);
}

// Makes what the last node gives an output of the model, under another name.
void OnnxGraph::output(const std::string& name, const std::vector<int>& sizes) {
  proto_.mutable_node(proto_.node_size() - 1)->set_output(0, name);
  names_.back() = name;
  describe(*proto_.add_output(), name, sizes);
}

std::string OnnxGraph::initializer(const std::string& name, const torch::Tensor& tensor) {
  onnx::TensorProto& proto = *proto_.add_initializer();
  proto.set_name(name);
  proto.set_data_type(onnx_type(tensor.scalar_type()));
  for (int64_t size : tensor.sizes()) proto.add_dims(size);
  const torch::Tensor plain = tensor.detach().cpu().contiguous();
  proto.set_raw_data(plain.data_ptr(), plain.nbytes());
  return name;
}

std::string OnnxGraph::number(const std::string& name, double value) {
  return initializer(name, torch::full({}, value));
}

// A node, since an initializer would be taken for a weight.
std::string OnnxGraph::constants(const std::string& name, const std::vector<float>& values) {
  onnx::TensorProto tensor;
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  tensor.add_dims(int64_t(values.size()));
  for (float value : values) tensor.add_float_data(value);
  attribute(add("Constant", name, {}), "value", tensor);
  return name;
}

// 0 keeps a dimension: the batch.
std::string OnnxGraph::reshape(const std::string& output, const std::string& x,
                               const std::vector<int64_t>& shape) {
  return node("Reshape", output, {x, initializer(output + ".shape", torch::tensor(shape))});
}

std::string OnnxGraph::transpose(const std::string& output, const std::string& x,
                                 const std::vector<int64_t>& order) {
  attribute(add("Transpose", output, {x}), "perm", order);
  return output;
}

std::string OnnxGraph::add_op(int index) {
  const Op& op = graph_.ops[size_t(index)];
  const std::string& name = op.name;
  const std::string& x = names_[op.inputs[0]];
  switch (op.kind) {
    case OpKind::kInput:
      break;
    case OpKind::kConv:
    case OpKind::kDepthwise:
      return convolution(op, x);
    case OpKind::kLinear:
      return linear(op, x);
    case OpKind::kNorm:
      return norm(op, x);
    case OpKind::kActivation:
      return activation(op, x);
    case OpKind::kSoftmax:
      attribute(add("Softmax", name, {x}), "axis", int64_t{-1});
      return name;
    case OpKind::kAdd:
      return node("Add", name, {x, names_[op.inputs[1]]});
    case OpKind::kMean: {
      Names inputs;
      for (int input : op.inputs) inputs.push_back(names_[input]);
      return node("Mean", name, inputs);
    }
    case OpKind::kLayerScale:
      return node("Mul", name, {x, reshape(name + ".column", name + ".gamma", {1, -1, 1, 1})});
    case OpKind::kPool:
      return node("GlobalAveragePool", name, {x});
    case OpKind::kSigmoid:
      return node("Sigmoid", name, {x});
    case OpKind::kHardSigmoid:
      return hard_sigmoid(name, x);
    case OpKind::kMultiply:
      return node("Mul", name, {x, names_[op.inputs[1]]});
    case OpKind::kUpsample:
      return upsample(op, x);
    case OpKind::kAttentionScores:
      return attention_scores(op);
    case OpKind::kAttentionMix:
      return attention_mix(index);
  }
  throw std::logic_error("ONNX has no node for " + op.name);
}

std::string OnnxGraph::convolution(const Op& op, const std::string& x) {
  Names inputs = {x, parameter_prefix(op) + ".weight"};
  if (op.bias) inputs.push_back(parameter_prefix(op) + ".bias");
  onnx::NodeProto& conv = add("Conv", op.name, inputs);
  const int64_t padding = (op.kernel - 1) / 2;
  attribute(conv, "kernel_shape", std::vector<int64_t>(2, op.kernel));
  attribute(conv, "strides", std::vector<int64_t>(2, op.stride));
  attribute(conv, "pads", std::vector<int64_t>(4, padding));
  attribute(conv, "group", int64_t{groups_of(op)});
  return op.name;
}

std::string OnnxGraph::linear(const Op& op, const std::string& x) {
  const std::string& name = op.name;
  const auto flat = stored(op.inputs[0], node("Flatten", name + ".flatten", {x}));
  onnx::NodeProto& gemm = add("Gemm", name, {flat, name + ".weight", name + ".bias"});
  attribute(gemm, "transB", int64_t{1});
  return name;
}

std::string OnnxGraph::norm(const Op& op, const std::string& x) {
  const std::string& name = op.name;
  const Names inputs = {x, name + ".weight", name + ".bias", name + ".running_mean",
                        name + ".running_var"};
  attribute(add("BatchNormalization", name, inputs), "epsilon", float(graph_.norm.epsilon));
  return name;
}

// Opset 11 asks for a region, too, though only cropping uses it.
std::string OnnxGraph::upsample(const Op& op, const std::string& x) {
  const auto region = constants(op.name + ".roi", {});
  const float factor = float(op.stride);
  const auto scales = constants(op.name + ".scales", {1, 1, factor, factor});
  onnx::NodeProto& resize = add("Resize", op.name, {x, region, scales});
  attribute(resize, "mode", std::string("nearest"));
  attribute(resize, "coordinate_transformation_mode", std::string("asymmetric"));
  attribute(resize, "nearest_mode", std::string("floor"));
  return op.name;
}

std::string OnnxGraph::hard_sigmoid(const std::string& output, const std::string& x) {
  onnx::NodeProto& gate = add("HardSigmoid", output, {x});
  attribute(gate, "alpha", 1.0f / 6);
  attribute(gate, "beta", 0.5f);
  return output;
}

std::string OnnxGraph::activation(const Op& op, const std::string& x) {
  const std::string& name = op.name;
  switch (op.activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return node("Relu", name, {x});
    case Activation::kRelu6:
      return node("Clip", name, {x, number(name + ".low", 0), number(name + ".high", 6)});
    case Activation::kHardSwish:
      if (options_.opset >= 14) return node("HardSwish", name, {x});
      return node("Mul", name, {x, hard_sigmoid(name + ".gate", x)});
    case Activation::kSilu:
      return node("Mul", name, {x, node("Sigmoid", name + ".sigmoid", {x})});
    case Activation::kGelu: {  // x / 2 (1 + erf(x / sqrt(2))): a node of its own came with opset 20
      const auto scaled = node("Mul", name + ".scaled", {x, number(name + ".root", M_SQRT1_2)});
      const auto erf = node("Erf", name + ".erf", {scaled});
      const auto sum = node("Add", name + ".sum", {erf, number(name + ".one", 1)});
      const auto half = node("Mul", name + ".half", {x, number(name + ".factor", 0.5)});
      return node("Mul", name, {half, sum});
    }
  }
  throw std::logic_error("ONNX has no node for " + op.name);
}

// Queries of all heads and positions as one matrix an image, as in the executor:
// [N, h d, H, W] -> [N, h H W, d], times keys [N, d, M]. Of integers the product is scaled, so that
// integers are multiplied. Of multi-head attention each head's own: [N, h, H W, d] times [N, h, d,
// M].
std::string OnnxGraph::attention_scores(const Op& op) {
  const std::string& name = op.name;
  const int query = op.inputs[0], key = op.inputs[1];
  const int64_t heads = op.heads, queries = op.output.height, keys = op.output.width;
  const bool is_multi_head = op.kv_heads > 1;
  const int64_t dim = graph_.ops[size_t(key)].output.channels / op.kv_heads;
  const auto scaled = [&](const std::string& output, const std::string& x) {
    return node("Mul", output, {x, number(name + ".scale", 1 / std::sqrt(dim))});
  };
  const auto split =
      stored(query, reshape(name + ".query", names_[query], {0, heads, dim, queries}));
  const auto turned = stored(query, transpose(name + ".query_turned", split, {0, 1, 3, 2}));
  const auto rows =
      is_multi_head
          ? turned
          : stored(query, reshape(name + ".query_rows", turned, {0, heads * queries, dim}));
  const auto columns = [&] {
    const std::vector<int64_t> own{0, dim, keys}, of_heads{0, heads, dim, keys};
    return stored(key, reshape(name + ".key", names_[key], is_multi_head ? of_heads : own));
  };
  if (is_integer(query)) {
    return scaled(name, node("MatMul", name + ".product", {rows, columns()}));
  }
  const auto factor = scaled(name + ".query_scaled", rows);
  return node("MatMul", name, {factor, columns()});
}

// [N, h H W, M] times values [N, M, d] -> [N, h d, H, W]; of multi-head attention [N, h, H W, M]
// times [N, h, M, d].
std::string OnnxGraph::attention_mix(int index) {
  const Op& op = graph_.ops[size_t(index)];
  const std::string& name = op.name;
  const int value = op.inputs[1];
  const Shape& from = graph_.ops[size_t(value)].output;
  const bool is_multi_head = op.kv_heads > 1;
  const int64_t keys = int64_t{from.height} * from.width, dim = from.channels / op.kv_heads;
  const int64_t heads = op.heads, queries = int64_t{op.output.height} * op.output.width;
  const std::vector<int64_t> own{0, dim, keys}, of_heads{0, heads, dim, keys};
  const auto columns =
      stored(value, reshape(name + ".value", names_[value], is_multi_head ? of_heads : own));
  const auto turned_heads =
      is_multi_head ? std::vector<int64_t>{0, 1, 3, 2} : std::vector<int64_t>{0, 2, 1};
  const auto rows = stored(value, transpose(name + ".value_turned", columns, turned_heads));
  const auto product =
      stored(index, node("MatMul", name + ".product", {names_[op.inputs[0]], rows}));
  const auto split = stored(index, reshape(name + ".split", product, {0, heads, queries, dim}));
  const auto turned = stored(index, transpose(name + ".turned", split, {0, 1, 3, 2}));
  return reshape(name, turned, {0, op.output.channels, op.output.height, op.output.width});
}

}  // namespace ridgewalk
