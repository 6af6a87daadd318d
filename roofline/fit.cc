#include "roofline/fit.h"

#include <set>

#include "roofline/fit_problem.h"
#include "space/error.h"

namespace ridgewalk {

NetworkWork network_work(const std::string& name, const Graph& graph,
                         const WorkCounting& counting) {
  NetworkWork work{.name = name, .dense = {}, .depthwise = {}};
  std::vector<OpCost> dense, depthwise;
  const std::vector<OpCost> costs = op_costs(graph, counting.bytes);
  for (size_t i = 0; i < costs.size(); ++i) {
    const OpCost cost = of_batch(costs[i], counting.batch);
    (graph.ops[i].kind == OpKind::kDepthwise ? depthwise : dense).push_back(cost);
    work.macs += cost.macs;
    work.bytes += bytes(cost, counting.type);
    work.kernels += is_kernel(graph.ops[i], cost, counting.kernels);
  }
  work.dense = latency_curve(dense, counting.type);
  work.depthwise = latency_curve(depthwise, counting.type);
  return work;
}

Seconds Fit::predict(const NetworkWork& work) const {
  return {seconds_per_mac * roofline_macs(work, ridge_point, depthwise_cost).value +
          op_overhead.value * work.kernels + floor.value};
}

size_t unknowns_of(const FitTerms& terms, std::optional<MacsPerByte> ridge_point) {
  return 1u + !ridge_point + terms.depthwise_cost + terms.op_overhead + terms.floor;
}

Fit fit(std::span<const Measured> networks, const FitTerms& terms,
        std::optional<MacsPerByte> ridge_point) {
  std::set<std::string_view> names;
  for (const Measured& row : networks) names.insert(row.network);
  const size_t unknowns = unknowns_of(terms, ridge_point);
  if (names.size() < unknowns) {
    throw Error("a fit of " + std::to_string(unknowns) +
                " figures needs at least as many networks; there are " +
                std::to_string(names.size()));
  }
  const std::vector<double> once(networks.size(), 1.0);
  return FitProblem(networks, terms, ridge_point).fit(once).fit;
}

}  // namespace ridgewalk
