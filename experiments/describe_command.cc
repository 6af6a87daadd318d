#include <fmt/format.h>

#include "experiments/command_line.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

Json shape_json(const Shape& shape) { return {shape.channels, shape.height, shape.width}; }

std::string shape_text(const Shape& shape) {
  return fmt::format("{}x{}x{}", shape.channels, shape.height, shape.width);
}

Json description(const Graph& graph, const Architecture& architecture, DataType type) {
  const std::vector<OpCost> costs = op_costs(graph);
  const NetworkCost total = network_cost(graph);
  Json result = {{"name", architecture.name},
                 {"resolution", architecture.resolution},
                 {"parameters", total.parameters},
                 {"macs", static_cast<int64_t>(total.macs.value)},
                 {"attention_macs", static_cast<int64_t>(total.attention_macs.value)},
                 {"data_type", to_string(type)},
                 {"ops", Json::array()}};
  for (size_t i = 1; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    const OpCost& cost = costs[i];
    result["ops"].push_back({{"name", op.name},
                             {"kind", to_string(op.kind)},
                             {"input", shape_json(graph.ops[op.inputs[0]].output)},
                             {"output", shape_json(op.output)},
                             {"macs", static_cast<int64_t>(cost.macs.value)},
                             {"parameters", cost.parameters},
                             {"weight_elements", cost.weight_elements},
                             {"activation_elements", cost.activation_elements},
                             {"operational_intensity", operational_intensity(cost, type).value}});
  }
  return result;
}

void print(const Graph& graph, const Architecture& architecture, DataType type) {
  const std::vector<OpCost> costs = op_costs(graph);
  fmt::print("{:<32} {:<17} {:>12} {:>12} {:>13} {:>10} {:>11} {:>9}\n", "op", "kind", "input",
             "output", "MACs", "parameters", "bytes", "MACs/byte");
  for (size_t i = 1; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    const OpCost& cost = costs[i];
    fmt::print("{:<32} {:<17} {:>12} {:>12} {:>13.0f} {:>10} {:>11.0f} {:>9.2f}\n", op.name,
               to_string(op.kind), shape_text(graph.ops[op.inputs[0]].output),
               shape_text(op.output), cost.macs.value, cost.parameters, bytes(cost, type).value,
               operational_intensity(cost, type).value);
  }
  const NetworkCost total = network_cost(graph);
  const double moved =
      double(bytes_per_element(type)) * double(total.weight_elements + total.activation_elements);
  fmt::print("\n{} at {} pixels, {}\n", architecture.name, architecture.resolution,
             to_string(type));
  fmt::print("  parameters      {}\n", total.parameters);
  fmt::print("  MACs            {:.0f} ({:.4f} G), of them {:.0f} attention products\n",
             total.macs.value, total.macs.value / 1e9, total.attention_macs.value);
  const Regularization& r = architecture.regularization;
  const std::string training =
      fmt::format("norm epsilon {}, momentum {}; layer scale {}; drop path {}{}; dropout {}",
                  architecture.norm.epsilon, architecture.norm.momentum, architecture.layer_scale,
                  r.drop_path, r.flat_drop_path ? " in every block" : "", r.dropout);
  fmt::print("  bytes           {:.0f}\n", moved);
  fmt::print("  MACs/byte       {:.2f}\n", total.macs.value / moved);
  fmt::print("  training        {}\n", training);
}

}  // namespace

int describe_command(const Arguments& arguments) {
  CommandLine line("describe ARCH [--json]",
                   "Prints every operation of a network. ARCH is a catalogue name, a name with a\n"
                   "width multiplier (mnv4-conv-small-050, mobilenet-v2@1.3), a YAML file, or\n"
                   "`custom` with the arguments below.",
                   "arch", 1);
  line.add()("json", "for machines");
  line.add()("dtype", boost::program_options::value<std::string>()->default_value("int8"),
             "width of weights and activations: int8, bf16, fp16, fp32");
  line.add_input_options();
  line.add_session_options();
  if (!line.parse(arguments)) return 0;
  const DataType type = parse_data_type(line.get<std::string>("dtype"));
  const Architecture architecture = line.architecture(line.words()[0]);
  const Graph graph = lower(architecture);
  if (line.has("json")) {
    fmt::print("{}\n", description(graph, architecture, type).dump(1));
  } else {
    print(graph, architecture, type);
  }
  return 0;
}

}  // namespace ridgewalk
