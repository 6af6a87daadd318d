#include "roofline/cost.h"

#include <stdexcept>
#include <string>

#include "space/error.h"

namespace ridgewalk {
namespace {

bool is_attention(OpKind kind) {
  return kind == OpKind::kAttentionScores || kind == OpKind::kAttentionMix;
}

// Multiply-accumulates per element of the output; 0 for ops that are free.
double macs_per_output(const Graph& graph, const Op& op) {
  const auto input = [&](int index) { return graph.ops[op.inputs[index]].output; };
  const double window = double(op.kernel) * op.kernel;
  switch (op.kind) {
    case OpKind::kConv:
    case OpKind::kDepthwise:
      return window * (input(0).channels / groups_of(op));
    case OpKind::kLinear:
      return double(input(0).elements());
    case OpKind::kAttentionScores: {
      const int key_dim = input(0).channels / op.heads;
      return key_dim;
    }
    case OpKind::kAttentionMix:
      return input(0).width;  // key positions
    case OpKind::kInput:
    case OpKind::kNorm:
    case OpKind::kActivation:
    case OpKind::kSoftmax:
    case OpKind::kAdd:
    case OpKind::kMean:
    case OpKind::kLayerScale:
    case OpKind::kPool:
    case OpKind::kSigmoid:
    case OpKind::kHardSigmoid:
    case OpKind::kMultiply:
    case OpKind::kUpsample:
      return 0;
  }
  throw std::logic_error("an op without a cost");
}

// Whether inference fuses it into the op before.
bool is_fused(OpKind kind) {
  return kind == OpKind::kNorm || kind == OpKind::kActivation || kind == OpKind::kLayerScale ||
         kind == OpKind::kSigmoid || kind == OpKind::kHardSigmoid;
}

int64_t input_elements(const Graph& graph, const Op& op) {
  int64_t sum = 0;
  for (int input : op.inputs) sum += graph.ops[input].output.elements();
  return sum;
}

// The block of an op, "blocks.2.0", or the op's own name outside the stages.
std::string block_of(const Op& op) {
  constexpr std::string_view kStages = "blocks.";
  if (op.name.rfind(kStages, 0) != 0) return op.name;
  const size_t stage_end = op.name.find('.', kStages.size());
  return stage_end == std::string::npos ? op.name
                                        : op.name.substr(0, op.name.find('.', stage_end + 1));
}

// A block's input counts for its first op with MACs, its output for the last.
void count_blocks(const Graph& graph, std::vector<OpCost>& costs) {
  for (size_t begin = 1, end = 1; begin < graph.ops.size(); begin = end) {
    const std::string block = block_of(graph.ops[begin]);
    if (block.empty()) throw std::logic_error("blocks are told apart by the names of their ops");
    size_t first = 0, last = 0;
    while (end < graph.ops.size() && block_of(graph.ops[end]) == block) {
      if (costs[end].macs.value > 0) {
        if (first == 0) first = end;
        last = end;
      }
      ++end;
    }
    if (first == 0) continue;
    costs[first].activation_elements += graph.ops[graph.ops[begin].inputs[0]].output.elements();
    costs[last].activation_elements += graph.ops[end - 1].output.elements();
  }
}

}  // namespace

OpCost of_batch(OpCost cost, int images) {
  cost.macs = double(images) * cost.macs;
  cost.activation_elements *= images;
  return cost;
}

bool is_kernel(const Op& op, const OpCost& cost, KernelConvention convention) {
  return convention == KernelConvention::kFused ? cost.macs.value > 0 : op.kind != OpKind::kInput;
}

int kernel_count(const Graph& graph, KernelConvention convention) {
  const std::vector<OpCost> costs = op_costs(graph);
  int count = 0;
  for (size_t i = 0; i < costs.size(); ++i) count += is_kernel(graph.ops[i], costs[i], convention);
  return count;
}

Bytes bytes(const OpCost& cost, DataType type) {
  return {double(cost.weight_elements + cost.activation_elements) * bytes_per_element(type)};
}

MacsPerByte operational_intensity(const OpCost& cost, DataType type) {
  const Bytes moved = bytes(cost, type);
  return moved.value > 0 ? cost.macs / moved : MacsPerByte{};
}

std::vector<OpCost> op_costs(const Graph& graph, ByteConvention convention) {
  std::vector<OpCost> costs;
  costs.reserve(graph.ops.size());
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    OpCost& cost = costs.emplace_back();
    const ParameterElements elements = parameter_elements(graph, static_cast<int>(i));
    if (!shares_earlier(graph, int(i))) cost.parameters = elements.learned;
    cost.macs = {macs_per_output(graph, op) * double(op.output.elements())};
    const bool has_macs = cost.macs.value > 0;
    if (convention == ByteConvention::kMnv4 && !has_macs) continue;
    const int64_t inputs = input_elements(graph, op);
    const int64_t output = op.output.elements();
    switch (convention) {
      case ByteConvention::kMnv4:
        cost.weight_elements = elements.learned;
        cost.activation_elements = inputs + output;
        break;
      case ByteConvention::kMnv4Adds:
        if (has_macs) cost.weight_elements = elements.learned;
        if (has_macs || !is_fused(op.kind)) cost.activation_elements = inputs + output;
        break;
      case ByteConvention::kWeightsOut:
        if (has_macs) cost.weight_elements = elements.learned;
        if (has_macs || !is_fused(op.kind)) cost.activation_elements = output;
        break;
      case ByteConvention::kOutOnly:
        if (has_macs) cost.activation_elements = output;
        break;
      case ByteConvention::kAten:
        cost.weight_elements = elements.learned + elements.running;
        cost.activation_elements = inputs + output;
        break;
      case ByteConvention::kBlockFused:
        if (has_macs) cost.weight_elements = elements.learned;
        break;
    }
  }
  costs.front().activation_elements = 0;  // the image is already in memory
  if (convention == ByteConvention::kBlockFused) count_blocks(graph, costs);
  return costs;
}

NetworkCost network_cost(const Graph& graph, ByteConvention convention, int images) {
  constexpr double kLargest = 9007199254740992.0;  // 2^53: doubles beyond it skip whole numbers
  NetworkCost total;
  const std::vector<OpCost> costs = op_costs(graph, convention);
  for (size_t i = 0; i < costs.size(); ++i) {
    const OpCost cost = of_batch(costs[i], images);
    total.macs += cost.macs;
    if (total.macs.value > kLargest) {
      throw Error("'" + graph.name + "' has more than 2^53 MACs; make it, or the batch, smaller");
    }
    if (is_attention(graph.ops[i].kind)) total.attention_macs += cost.macs;
    total.parameters += cost.parameters;
    total.weight_elements += cost.weight_elements;
    total.activation_elements += cost.activation_elements;
  }
  return total;
}

}  // namespace ridgewalk
