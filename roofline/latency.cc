#include "roofline/latency.h"

#include <algorithm>
#include <cmath>

#include "space/error.h"

namespace ridgewalk {

Macs rounded(Macs time) {
  constexpr double kSteps = 1024;  // in one MAC
  return {std::floor(time.value * kSteps + 0.5) / kSteps};
}

Macs op_time(const OpCost& cost, MacsPerByte ridge_point, DataType type) {
  return rounded(std::max(cost.macs, ridge_point * bytes(cost, type)));
}

Macs latency(std::span<const OpCost> costs, MacsPerByte ridge_point, DataType type) {
  Macs sum;
  for (const OpCost& cost : costs) {
    const bool is_free =
        cost.macs.value == 0 && cost.weight_elements + cost.activation_elements == 0;
    if (!is_free) sum += op_time(cost, ridge_point, type);
  }
  return sum;
}

Macs latency(const Graph& graph, MacsPerByte ridge_point, DataType type) {
  return latency(op_costs(graph), ridge_point, type);
}

Macs training_latency(const Graph& graph, int64_t batch, MacsPerByte ridge_point, DataType type) {
  const std::vector<OpCost> costs = op_costs(graph);
  const auto passes = [&](const Op& op, const OpCost& cost) {
    const int64_t output = op.output.elements(), input = cost.activation_elements - output;
    const OpCost forward{.macs = double(batch) * cost.macs,
                         .weight_elements = cost.weight_elements,
                         .activation_elements = batch * (input + output)};
    const bool reads_images = op.inputs[0] == 0;
    const OpCost backward{.macs = (reads_images ? 1.0 : 2.0) * forward.macs,
                          .weight_elements = (reads_images ? 1 : 2) * cost.weight_elements,
                          .activation_elements = batch * ((reads_images ? 1 : 2) * input + output)};
    return op_time(forward, ridge_point, type) + op_time(backward, ridge_point, type);
  };
  Macs sum;
  for (size_t i = 1; i < costs.size(); ++i) {
    if (costs[i].macs.value > 0) sum += passes(graph.ops[i], costs[i]);
  }
  return sum;
}

std::vector<OpCost> on_axis(std::vector<OpCost> costs, const Graph& graph, NetworkTypes types) {
  const int own = bytes_per_element(types.stages), heads = bytes_per_element(types.head);
  if (heads < own) {
    throw Error("a head in " + std::string(to_string(types.head)) + " is narrower than stages in " +
                std::string(to_string(types.stages)) + "; give one that is wider");
  }
  const int factor = heads / own;
  for (size_t i = size_t(head_begin(graph)); i < costs.size(); ++i) {
    costs[i].macs = factor * costs[i].macs;
    costs[i].weight_elements *= factor;
    costs[i].activation_elements *= factor;
  }
  return costs;
}

std::vector<MacsPerByte> ridge_points(double low, double high, int count) {
  if (!(low >= 0 && low <= high && std::isfinite(high))) {
    throw Error("a range of ridge points runs from low to high, neither below 0, such as 0:500");
  }
  if (low == high) return {{low}};
  if (count < 2) throw Error("a range of ridge points needs at least its two ends");
  std::vector<MacsPerByte> points;
  double first = low;
  if (low == 0) {
    points.push_back({0});
    first = std::min(0.1, high);
  }
  const int rest = count - static_cast<int>(points.size());
  for (int i = 0; i < rest - 1; ++i) {
    points.push_back({first * std::pow(high / first, double(i) / (rest - 1))});
  }
  points.push_back({high});
  return points;
}

}  // namespace ridgewalk
