#include "experiments/commands/description.h"

#include <algorithm>

#include "roofline/memory.h"
#include "roofline/price.h"
#include "space/features.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

Json shape_json(const Shape& shape) { return {shape.channels, shape.height, shape.width}; }

std::vector<OpCost> costs_of(const Graph& graph, const Counting& counting) {
  std::vector<OpCost> costs = op_costs(graph, counting.convention);
  for (OpCost& cost : costs) cost = of_batch(cost, counting.batch);
  return costs;
}

double total_bytes(const Graph& graph, const Counting& counting) {
  const std::vector<OpCost> costs = costs_of(graph, counting);
  double sum = 0;
  for (size_t i = 0; i < costs.size(); ++i) {
    sum += bytes(costs[i], counting.types.of(graph, int(i))).value;
  }
  return sum;
}

// Milliseconds on the profile, term by term, and by the laws of its ops where it has them.
Json latency_json(const Graph& graph, const Counting& counting) {
  const Prediction prediction = predict(graph, *counting.model);
  const auto ms = [](Seconds seconds) { return 1e3 * seconds.value; };
  Json result = {
      {"profile", counting.profile->name},      {"total_ms", ms(prediction.total())},
      {"roofline_ms", ms(prediction.roofline)}, {"depthwise_ms", ms(prediction.depthwise)},
      {"cache_ms", ms(prediction.cache)},       {"op_overhead_ms", ms(prediction.op_overhead)},
      {"floor_ms", ms(prediction.floor)},       {"upper_ms", ms(prediction.upper)},
      {"is_guess", counting.model->is_guess()}};
  if (counting.profile->op_laws.empty() || counting.types.stages != counting.profile->data_type) {
    return result;
  }
  const CalibratedLatency by_laws = predict_by_laws(graph, *counting.profile, counting.batch);
  result["laws_ms"] = ms(by_laws.total);
  result["ops_without_law"] = by_laws.unknown;
  return result;
}

// As the paper's table counts a detector.
int64_t parameters_of_tf_models(const Graph& detector, Architecture architecture) {
  architecture.detector.reset();
  return parameters_of_tf_models(lower(architecture), detector);
}

// What the network takes of the device beside time.
void add_resources(const Graph& graph, const Counting& counting, Json& result) {
  const std::vector<Bytes> memory = activation_memory(graph, counting.types, counting.batch);
  const auto peak = std::max_element(memory.begin(), memory.end());
  result["peak_memory_bytes"] = int64_t(peak->value);
  result["peak_memory_op"] = graph.ops[size_t(peak - memory.begin())].name;
  result["weight_memory_bytes"] = int64_t(weight_memory(graph, counting.types).value);
  if (!counting.profile) return;
  const ProfileMemory& device = counting.profile->memory;
  if (device.sram_kib) result["sram_kib"] = device.sram_kib->value;
  if (device.flash_kib) result["flash_kib"] = device.flash_kib->value;
  if (!knows_energy(*counting.profile) || lacks_energy_of_type(counting)) return;
  LatencyModel energy = energy_model(*counting.profile, counting.types);
  energy.batch = counting.batch;
  result["energy_mj"] = price(graph, energy).value / unit_of(Resource::kEnergy)->unit;
}

}  // namespace

bool knows_energy(const Profile& profile) { return profile.energy.picojoules_per_mac.has_value(); }

bool lacks_energy_of_type(const Counting& counting) {
  return counting.profile && knows_energy(*counting.profile) &&
         !(counting.profile->picojoules_per_mac(counting.types.stages) &&
           counting.profile->picojoules_per_mac(counting.types.head));
}

Json network_totals(const Graph& graph, const Architecture& architecture,
                    const Counting& counting) {
  const NetworkCost total = network_cost(graph, counting.convention, counting.batch);
  const double moved = total_bytes(graph, counting);
  const Regularization& r = architecture.regularization;
  Json result = {{"name", architecture.name},
                 {"resolution", architecture.resolution},
                 {"channels", architecture.channels},
                 {"classes", architecture.classes},
                 {"batch", counting.batch},
                 {"parameters", total.parameters},
                 {"macs", static_cast<int64_t>(total.macs.value)},
                 {"attention_macs", static_cast<int64_t>(total.attention_macs.value)},
                 {"data_type", to_string(counting.types.stages)},
                 {"byte_convention", to_string(counting.convention)},
                 {"bytes", static_cast<int64_t>(moved)},
                 {"operational_intensity", total.macs.value / moved},
                 {"kernels",
                  {{"fused", kernel_count(graph, KernelConvention::kFused)},
                   {"unfused", kernel_count(graph, KernelConvention::kUnfused)}}},
                 {"training",
                  {{"norm_epsilon", architecture.norm.epsilon},
                   {"norm_momentum", architecture.norm.momentum},
                   {"layer_scale", architecture.layer_scale},
                   {"drop_path", r.drop_path},
                   {"flat_drop_path", r.flat_drop_path},
                   {"dropout", r.dropout}}}};
  if (counting.types.are_mixed()) result["head_data_type"] = to_string(counting.types.head);
  if (architecture.detector) {
    result["parameters_of_tf_models"] = parameters_of_tf_models(graph, architecture);
  }
  add_resources(graph, counting, result);
  if (counting.model) result["latency"] = latency_json(graph, counting);
  return result;
}

Json network_description(const Graph& graph, const Architecture& architecture,
                         const Counting& counting) {
  const std::vector<OpCost> costs = costs_of(graph, counting);
  const std::vector<Bytes> memory = activation_memory(graph, counting.types, counting.batch);
  Json result = network_totals(graph, architecture, counting);
  result["ops"] = Json::array();
  for (size_t i = 1; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    const OpCost& cost = costs[i];
    const DataType type = counting.types.of(graph, int(i));
    result["ops"].push_back({{"name", op.name},
                             {"kind", to_string(op.kind)},
                             {"inputs", std::vector<int>(op.inputs.begin(), op.inputs.end())},
                             {"input", shape_json(graph.ops[op.inputs[0]].output)},
                             {"output", shape_json(op.output)},
                             {"kernel", op.kernel},
                             {"stride", op.stride},
                             {"groups", groups_of(op)},
                             {"heads", op.heads},
                             {"bias", op.bias},
                             {"activation", to_string(op.activation)},
                             {"macs", static_cast<int64_t>(cost.macs.value)},
                             {"parameters", cost.parameters},
                             {"weight_elements", cost.weight_elements},
                             {"activation_elements", cost.activation_elements},
                             {"bytes", static_cast<int64_t>(bytes(cost, type).value)},
                             {"memory_bytes", static_cast<int64_t>(memory[i].value)},
                             {"operational_intensity", operational_intensity(cost, type).value}});
  }
  return result;
}

Json features_json(const Graph& graph) {
  Json result = Json::array();
  for (const FeatureMap& map : feature_maps(graph)) {
    result.push_back({{"name", map.name},
                      {"op", graph.ops[size_t(map.op)].name},
                      {"stride", map.stride},
                      {"shape", shape_json(map.shape)}});
  }
  return result;
}

}  // namespace ridgewalk
