#include "space/graph.h"

#include <algorithm>

namespace ridgewalk {

int64_t Parameter::elements() const {
  int64_t product = 1;
  for (int64_t size : shape) product *= size;
  return product;
}

int groups_of(const Op& op) {
  return op.kind == OpKind::kDepthwise ? op.output.channels : op.groups;
}

std::vector<Parameter> parameters(const Graph& graph, int index) {
  const Op& op = graph.ops[index];
  const int64_t out = op.output.channels;
  const int64_t k = op.kernel;
  const int64_t in = op.inputs.empty() ? 0 : graph.ops[op.inputs[0]].output.channels;
  std::vector<Parameter> list;
  const auto add = [&](const char* suffix, std::vector<int64_t> shape, ParameterRole role) {
    list.push_back({parameter_prefix(op) + suffix, std::move(shape), role});
  };
  switch (op.kind) {
    case OpKind::kConv:
    case OpKind::kDepthwise:
      add(".weight", {out, in / groups_of(op), k, k}, ParameterRole::kWeight);
      list.back().groups = groups_of(op);
      break;
    case OpKind::kLinear:
      add(".weight", {out, in}, ParameterRole::kWeight);
      break;
    case OpKind::kNorm:
      add(".weight", {out}, ParameterRole::kNormWeight);
      add(".bias", {out}, ParameterRole::kNormBias);
      add(".running_mean", {out}, ParameterRole::kRunningMean);
      add(".running_var", {out}, ParameterRole::kRunningVar);
      break;
    case OpKind::kLayerScale:
      add(".gamma", {out}, ParameterRole::kLayerScale);
      break;
    default:
      break;
  }
  if (op.bias) add(".bias", {out}, ParameterRole::kBias);
  return list;
}

ParameterElements parameter_elements(const Graph& graph, int index) {
  const Op& op = graph.ops[index];
  const int64_t out = op.output.channels;
  const int64_t window = int64_t{op.kernel} * op.kernel;
  const int64_t bias = op.bias ? out : 0;
  switch (op.kind) {
    case OpKind::kConv:
    case OpKind::kDepthwise:
      return {.learned =
                  out * (graph.ops[op.inputs[0]].output.channels / groups_of(op)) * window + bias};
    case OpKind::kLinear:
      return {.learned = out * graph.ops[op.inputs[0]].output.channels + bias};
    case OpKind::kNorm:
      return {.learned = 2 * out, .running = 2 * out};
    case OpKind::kLayerScale:
      return {.learned = out};
    default:
      return {};
  }
}

std::vector<int> use_counts(const Graph& graph) {
  std::vector<int> uses(graph.ops.size());
  for (const Op& op : graph.ops) {
    for (int input : op.inputs) ++uses[size_t(input)];
  }
  for (const Output& output : graph.outputs) ++uses[size_t(output.op)];
  return uses;
}

bool shares_earlier(const Graph& graph, int index) {
  const std::string& name = graph.ops[size_t(index)].shared_name;
  return !name.empty() && std::any_of(graph.ops.begin(), graph.ops.begin() + index,
                                      [&](const Op& op) { return op.shared_name == name; });
}

int64_t parameter_count(const Graph& graph) {
  int64_t count = 0;
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    if (shares_earlier(graph, int(i))) continue;
    count += parameter_elements(graph, static_cast<int>(i)).learned;
  }
  return count;
}

}  // namespace ridgewalk
