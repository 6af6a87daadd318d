#include "experiments/report/sweep.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "experiments/run/csv.h"
#include "roofline/latency.h"
#include "roofline/latency_curve.h"
#include "roofline/latency_model.h"
#include "roofline/memory.h"
#include "roofline/profile.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

Json accuracy_json(const std::optional<RatedAccuracy>& accuracy) {
  if (!accuracy) return {};
  return {{"top1", accuracy->top1}, {"images", accuracy->images}, {"source", accuracy->source}};
}

Json ops_json(const Graph& graph, const std::vector<OpCost>& costs, NetworkTypes types, int batch) {
  Json ops = Json::array();
  const std::vector<Bytes> memory = activation_memory(graph, types, batch);
  for (size_t i = 0; i < costs.size(); ++i) {
    if (costs[i].macs.value == 0) continue;
    ops.push_back({{"name", graph.ops[i].name},
                   {"kind", to_string(graph.ops[i].kind)},
                   {"macs", costs[i].macs.value},
                   {"bytes", bytes(costs[i], types.stages).value},
                   {"memory_bytes", memory[i].value}});
  }
  return ops;
}

// The ridge points at which each network is on the front of those rated on the same images.
std::vector<std::vector<RidgeRange>> fronts(const std::vector<NetworkRecord>& networks,
                                            const std::vector<LatencyCurve>& curves,
                                            RidgeRange range) {
  std::vector<std::optional<RatedAccuracy>> ratings;
  std::map<std::string, std::vector<size_t>> groups;
  for (size_t i = 0; i < networks.size(); ++i) {
    ratings.push_back(rating(networks[i]));
    if (ratings[i]) groups[ratings[i]->images].push_back(i);
  }
  std::vector<std::vector<RidgeRange>> result(networks.size());
  for (const auto& [images, members] : groups) {
    std::vector<RatedCurve> rated;
    for (size_t i : members) rated.push_back({curves[i], ratings[i]->top1});
    const auto front = pareto_front(rated, range);
    for (size_t i = 0; i < members.size(); ++i) result[members[i]] = front[i];
  }
  return result;
}

Json swaps_json(const std::vector<NetworkRecord>& networks, const std::vector<LatencyCurve>& curves,
                RidgeRange range) {
  Json list = Json::array();
  for (size_t a = 0; a < curves.size(); ++a) {
    for (size_t b = a + 1; b < curves.size(); ++b) {
      for (const Lead& swap : swaps(curves[a], curves[b], range)) {
        const auto [below, above] = swap.faster > 0 ? std::pair(a, b) : std::pair(b, a);
        list.push_back({{"ridge_point", swap.from.value},
                        {"faster_below", networks[below].architecture.name},
                        {"faster_above", networks[above].architecture.name}});
      }
    }
  }
  std::stable_sort(list.begin(), list.end(), [](const Json& x, const Json& y) {
    return x["ridge_point"].get<double>() < y["ridge_point"].get<double>();
  });
  return list;
}

}  // namespace

Json sweep_json(const std::vector<NetworkRecord>& networks, const std::vector<MacsPerByte>& points,
                NetworkTypes types, int batch) {
  const DataType type = types.stages;
  RidgeRange range{{0}, {500}};
  for (MacsPerByte point : points) range.high = std::max(range.high, point);
  Json result = {{"data_type", to_string(type)},
                 {"batch", batch},
                 {"range", {range.low.value, range.high.value}},
                 {"ridge_points", Json::array()},
                 {"networks", Json::array()}};
  if (types.are_mixed()) result["head_data_type"] = to_string(types.head);
  for (MacsPerByte point : points) result["ridge_points"].push_back(point.value);
  std::vector<LatencyCurve> curves;
  for (const NetworkRecord& network : networks) {
    const Graph graph = lower(network.architecture);
    std::vector<OpCost> costs = on_axis(op_costs(graph), graph, types);
    for (OpCost& cost : costs) cost = of_batch(cost, batch);
    curves.push_back(latency_curve(costs, type));
    Json latencies = Json::array();
    for (MacsPerByte point : points) latencies.push_back(latency(costs, point, type).value);
    const NetworkCost total = network_cost(graph);
    result["networks"].push_back({{"name", network.architecture.name},
                                  {"resolution", network.architecture.resolution},
                                  {"parameters", total.parameters},
                                  {"macs", total.macs.value},
                                  {"bytes", curves.back().back().bytes.value},
                                  {"peak_memory_bytes", peak_memory(graph, types, batch).value},
                                  {"weight_memory_bytes", weight_memory(graph, types).value},
                                  {"accuracy", accuracy_json(rating(network))},
                                  {"latency_macs", latencies},
                                  {"ops", ops_json(graph, costs, types, batch)}});
  }
  const auto front = fronts(networks, curves, range);
  for (size_t i = 0; i < front.size(); ++i) {
    Json ranges = Json::array();
    for (const RidgeRange& r : front[i]) ranges.push_back({r.low.value, r.high.value});
    result["networks"][i]["front"] = ranges;
  }
  result["swaps"] = swaps_json(networks, curves, range);
  return result;
}

std::string sweep_csv(const Json& sweep) {
  std::string csv = "network,ridge_point,latency_macs\n";
  for (const Json& network : sweep["networks"]) {
    for (size_t i = 0; i < sweep["ridge_points"].size(); ++i) {
      csv += fmt::format("{},{},{}\n", csv_quoted(network["name"].get<std::string>()),
                         sweep["ridge_points"][i].get<double>(),
                         network["latency_macs"][i].get<double>());
    }
  }
  return csv;
}

Json profile_marks(const std::vector<std::string>& more, DataType axis) {
  std::vector<std::string> names = built_in_profiles();
  for (const std::string& name : more) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  Json marks = Json::array();
  for (const std::string& name : names) {
    const Profile profile = load_profile(name);
    if (profile.ridge_point().value == 0) continue;
    const LatencyModel model{.ridge_point = profile.ridge_point(), .data_type = profile.data_type};
    marks.push_back({{"name", profile.name},
                     {"ridge_point", model.place_on_axis(axis).value},
                     {"fitted", profile.ridge_point_is_effective()},
                     {"data_type", to_string(profile.data_type)},
                     {"own_ridge_point", profile.ridge_point().value}});
  }
  return marks;
}

}  // namespace ridgewalk
