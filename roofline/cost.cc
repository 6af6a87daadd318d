#include "roofline/cost.h"

#include <array>
#include <utility>

#include "space/error.h"

namespace ridgewalk {
namespace {

constexpr std::array<std::pair<DataType, std::string_view>, 4> kDataTypeNames = {{
    {DataType::kInt8, "int8"},
    {DataType::kBf16, "bf16"},
    {DataType::kFp16, "fp16"},
    {DataType::kFp32, "fp32"},
}};

bool is_attention(OpKind kind) {
  return kind == OpKind::kAttentionScores || kind == OpKind::kAttentionMix;
}

// Multiply-accumulates that one element of the output takes; 0 for what is free.
double macs_per_output(const Graph& graph, const Op& op) {
  const auto input = [&](int index) { return graph.ops[op.inputs[index]].output; };
  const double window = double(op.kernel) * op.kernel;
  switch (op.kind) {
    case OpKind::kConv:
      return window * input(0).channels;
    case OpKind::kDepthwise:
      return window;
    case OpKind::kLinear:
      return double(input(0).elements());
    case OpKind::kAttentionScores:
      return input(0).channels / op.heads;  // key_dim
    case OpKind::kAttentionMix:
      return input(0).width;  // key positions
    default:
      return 0;
  }
}

}  // namespace

int bytes_per_element(DataType type) {
  switch (type) {
    case DataType::kInt8:
      return 1;
    case DataType::kBf16:
      return 2;
    case DataType::kFp16:
      return 2;
    case DataType::kFp32:
      return 4;
  }
  return 0;
}

std::string_view to_string(DataType type) {
  for (const auto& [known, name] : kDataTypeNames) {
    if (known == type) return name;
  }
  return "";
}

std::optional<DataType> data_type_named(std::string_view name) {
  for (const auto& [type, known] : kDataTypeNames) {
    if (known == name) return type;
  }
  return std::nullopt;
}

Bytes bytes(const OpCost& cost, DataType type) {
  return {double(cost.weight_elements + cost.activation_elements) * bytes_per_element(type)};
}

MacsPerByte operational_intensity(const OpCost& cost, DataType type) {
  const Bytes moved = bytes(cost, type);
  return moved.value > 0 ? cost.macs / moved : MacsPerByte{};
}

std::vector<OpCost> op_costs(const Graph& graph) {
  std::vector<OpCost> costs;
  costs.reserve(graph.ops.size());
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    OpCost& cost = costs.emplace_back();
    for (const Parameter& parameter : parameters(graph, static_cast<int>(i))) {
      if (is_learned(parameter.role)) cost.parameters += parameter.elements();
    }
    const double macs = macs_per_output(graph, op);
    if (macs == 0) continue;
    cost.macs = {macs * double(op.output.elements())};
    cost.weight_elements = cost.parameters;
    cost.activation_elements = op.output.elements();
    for (int input : op.inputs) cost.activation_elements += graph.ops[input].output.elements();
  }
  return costs;
}

NetworkCost network_cost(const Graph& graph) {
  NetworkCost total;
  const std::vector<OpCost> costs = op_costs(graph);
  for (size_t i = 0; i < costs.size(); ++i) {
    total.macs += costs[i].macs;
    if (is_attention(graph.ops[i].kind)) total.attention_macs += costs[i].macs;
    total.parameters += costs[i].parameters;
    total.weight_elements += costs[i].weight_elements;
    total.activation_elements += costs[i].activation_elements;
  }
  constexpr double kLargest = 9007199254740992.0;  // 2^53: whole numbers beyond it have gaps
  if (total.macs.value > kLargest) {
    throw Error("'" + graph.name + "' has more than 2^53 MACs; make it smaller");
  }
  return total;
}

}  // namespace ridgewalk
