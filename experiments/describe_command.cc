#include <fmt/format.h>

#include "experiments/command_line.h"
#include "space/catalog.h"
#include "space/error.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

Json shape_json(const Shape& shape) { return {shape.channels, shape.height, shape.width}; }

std::string shape_text(const Shape& shape) {
  return fmt::format("{}x{}x{}", shape.channels, shape.height, shape.width);
}

double total_bytes(const NetworkCost& total, DataType type) {
  return double(bytes_per_element(type)) *
         double(total.weight_elements + total.activation_elements);
}

Json totals(const Graph& graph, const Architecture& architecture, DataType type) {
  const NetworkCost total = network_cost(graph);
  const double moved = total_bytes(total, type);
  const Regularization& r = architecture.regularization;
  return {{"name", architecture.name},
          {"resolution", architecture.resolution},
          {"channels", architecture.channels},
          {"classes", architecture.classes},
          {"parameters", total.parameters},
          {"macs", static_cast<int64_t>(total.macs.value)},
          {"attention_macs", static_cast<int64_t>(total.attention_macs.value)},
          {"data_type", to_string(type)},
          {"bytes", static_cast<int64_t>(moved)},
          {"operational_intensity", total.macs.value / moved},
          {"training",
           {{"norm_epsilon", architecture.norm.epsilon},
            {"norm_momentum", architecture.norm.momentum},
            {"layer_scale", architecture.layer_scale},
            {"drop_path", r.drop_path},
            {"flat_drop_path", r.flat_drop_path},
            {"dropout", r.dropout}}}};
}

Json description(const Graph& graph, const Architecture& architecture, DataType type) {
  const std::vector<OpCost> costs = op_costs(graph);
  Json result = totals(graph, architecture, type);
  result["ops"] = Json::array();
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
                             {"bytes", static_cast<int64_t>(bytes(cost, type).value)},
                             {"operational_intensity", operational_intensity(cost, type).value}});
  }
  return result;
}

void print(const Graph& graph, const Architecture& architecture, DataType type) {
  const std::vector<OpCost> costs = op_costs(graph);
  const NetworkCost total = network_cost(graph);
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
  const double moved = total_bytes(total, type);
  fmt::print("\n{} at {} pixels, {}\n", architecture.name, architecture.resolution,
             to_string(type));
  fmt::print("  parameters      {}\n", total.parameters);
  fmt::print("  MACs            {:.0f} ({:.4f} G), of them {:.0f} attention products\n",
             total.macs.value, total.macs.value / 1e9, total.attention_macs.value);
  const Regularization& r = architecture.regularization;
  const std::string training = fmt::format(
      "norm epsilon {}, momentum {}; layer scale {}{}; drop path {}{}; dropout {}",
      architecture.norm.epsilon, architecture.norm.momentum, architecture.layer_scale,
      architecture.layer_scale > 0 ? " before each skip, elsewhere 1 (released: there too)" : "",
      r.drop_path, r.flat_drop_path ? " in every block" : "", r.dropout);
  fmt::print("  bytes           {:.0f}\n", moved);
  fmt::print("  MACs/byte       {:.2f}\n", total.macs.value / moved);
  fmt::print("  training        {}\n", training);
}

// One line a network.
void print_totals(const Json& networks) {
  fmt::print("{:<28} {:>6} {:>12} {:>14} {:>14} {:>9}\n", "network", "pixels", "parameters", "MACs",
             "attention MACs", "MACs/byte");
  for (const Json& network : networks) {
    fmt::print("{:<28} {:>6} {:>12} {:>14} {:>14} {:>9.2f}\n", network["name"].get<std::string>(),
               network["resolution"].get<int>(), network["parameters"].get<int64_t>(),
               network["macs"].get<int64_t>(), network["attention_macs"].get<int64_t>(),
               network["operational_intensity"].get<double>());
  }
}

}  // namespace

int describe_command(const Arguments& arguments) {
  CommandLine line("describe ARCH... [--json]",
                   "Prints every operation of a network, or the totals of several. ARCH is a\n"
                   "catalogue name, a name with a width multiplier (mnv4-conv-small-050,\n"
                   "mobilenet-v2@1.3), a YAML file, or `custom` with the arguments below.",
                   "arch", -1);
  line.add()("catalog", "the totals of every network of the catalogue");
  line.add()("json", "for machines");
  line.add()("dtype", boost::program_options::value<std::string>()->default_value("int8"),
             "width of weights and activations: int8, bf16, fp16, fp32");
  line.add_input_options();
  line.add_session_options();
  if (!line.parse(arguments)) return 0;
  line.session();
  if (line.has("catalog") && line.has("arch")) {
    throw Error("--catalog describes the whole catalogue; leave the names out");
  }
  const DataType type = parse_data_type(line.get<std::string>("dtype"));
  const std::vector<std::string> names = line.has("catalog") ? catalog_names() : line.words();
  if (names.size() > 1) {
    Json networks = Json::array();
    for (const std::string& name : names) {
      const Architecture architecture = line.architecture(name);
      networks.push_back(totals(lower(architecture), architecture, type));
    }
    if (line.has("json")) {
      fmt::print("{}\n", json_text(networks));
    } else {
      print_totals(networks);
    }
    return 0;
  }
  const Architecture architecture = line.architecture(names[0]);
  const Graph graph = lower(architecture);
  if (line.has("json")) {
    fmt::print("{}\n", json_text(description(graph, architecture, type)));
  } else {
    print(graph, architecture, type);
  }
  return 0;
}

}  // namespace ridgewalk
