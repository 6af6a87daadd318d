#include "roofline/price.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "roofline/latency.h"
#include "roofline/memory.h"
#include "space/error.h"
#include "space/fold.h"

namespace ridgewalk {
namespace {

// Time to move the op's tensors; those that fit into the cache move at its bandwidth.
Macs cached_movement(const Graph& graph, const Op& op, const OpCost& cost, DataType type,
                     const LatencyModel& model) {
  const double cache_ridge_point = model.peak.value / model.cache_bandwidth.value;
  Macs sum;
  const auto move = [&](double elements) {
    const Bytes size{elements * bytes_per_element(type)};
    sum += MacsPerByte{size <= model.cache ? std::min(cache_ridge_point, model.ridge_point.value)
                                           : model.ridge_point.value} *
           size;
  };
  const auto move_value = [&](const Op& of) {
    move(double(model.batch) * double(of.output.elements()));
  };
  move(double(cost.weight_elements));
  move_value(op);
  for (int input : op.inputs) move_value(graph.ops[input]);
  return sum;
}

Load load_by_roofline(const Section& section, std::span<const OpCost> costs,
                      const LatencyModel& model) {
  const Macs overhead = overhead_time(model);
  Load sum;
  for (int i = section.begin; i < section.end; ++i) {
    sum.time += roofline_time(section.graph, section.graph.ops[i], costs[i], model);
    if (is_kernel(section.graph.ops[i], costs[i], model.kernels)) sum.time += overhead;
  }
  return sum;
}

// Whether an op of the folded graph comes from the section.
bool is_of(const Section& section, const std::vector<int>& origins) {
  return section.begin <= origins.front() && origins.front() < section.end;
}

// Of the graph as it runs, its norms folded: of the ops that come from those of the section.
Load load_by_laws(const Section& section, const LatencyModel& model) {
  const FoldedGraph folded = fold_norms(section.graph);
  const std::vector<OpCost> costs = op_costs(folded.graph);
  const auto by_law =
      ops_by_law(folded.graph, model.data_type, model.laws, model.bandwidths, model.batch);
  Load sum;
  for (size_t i = 0; i < by_law.size(); ++i) {
    if (!is_of(section, folded.origins[i])) continue;
    const Seconds own =
        by_law[i] ? by_law[i]->seconds : lower_bound(of_batch(costs[i], model.batch), model);
    sum.time += rounded({own.value * model.peak.value});
    sum.weights += {double(costs[i].weight_elements) * bytes_per_element(model.data_type)};
    if (by_law[i]) sum.waited += {rounded({by_law[i]->waited.value}).value};
  }
  return sum;
}

double learned_parameters(const Section& section) {
  int64_t sum = 0;
  for (int i = section.begin; i < section.end; ++i) {
    sum += parameter_elements(section.graph, i).learned;
  }
  return double(sum);
}

// What ops take of another resource than latency.
Macs amount(const Section& section, std::span<const OpCost> costs, const LatencyModel& model) {
  const auto& [graph, begin, end] = section;
  const auto sum_of = [&](auto figure) {
    Macs sum;
    for (int i = begin; i < end; ++i)
      sum += rounded({figure(graph.ops[size_t(i)], costs[size_t(i)])});
    return sum;
  };
  switch (model.resource) {
    case Resource::kLatency:
      break;
    case Resource::kPeakMemory:
      return {peak_memory(graph, begin, end, model.types(), model.batch).value};
    case Resource::kWeights:
      return {weight_memory(graph, begin, end, model.types()).value};
    case Resource::kParameters:
      return {learned_parameters(section)};
    case Resource::kMacs:
      return sum_of([](const Op&, const OpCost& cost) { return cost.macs.value; });
    case Resource::kEnergy:
      return sum_of([&](const Op& op, const OpCost& cost) {
        const OpCost batch = of_batch(cost, model.batch);
        const OpType type = type_of(graph, op, model);
        return model.picojoules_per_mac * type.mac_cost * batch.macs.value +
               model.picojoules_per_byte * bytes(batch, type.type).value;
      });
  }
  throw std::logic_error("latency is no amount");
}

}  // namespace

bool is_peak(const LatencyModel& model) { return model.resource == Resource::kPeakMemory; }

bool prices_as_run(const LatencyModel& model) {
  return !model.laws.empty() || model.resource == Resource::kWeights ||
         model.resource == Resource::kParameters ||
         (model.op_overhead.value > 0 && model.kernels == KernelConvention::kUnfused);
}

Seconds lower_bound(const OpCost& cost, const LatencyModel& model) {
  BytesPerSecond fastest;
  for (const ReadBandwidth& one : model.bandwidths) fastest = std::max(fastest, one.bandwidth);
  const Seconds reading = bytes(cost, model.data_type) / fastest;
  return model.bound_peak.value > 0 ? std::max(reading, cost.macs / model.bound_peak) : reading;
}

OpType type_of(const Graph& graph, const Op& op, const LatencyModel& model) {
  if (!model.head_type || &op - graph.ops.data() < head_begin(graph)) return {model.data_type, 1};
  return {*model.head_type, model.head_mac_cost};
}

Macs roofline_time(const Graph& graph, const Op& op, const OpCost& of_image,
                   const LatencyModel& model) {
  if (!model.has_roofline) return {};
  const OpCost cost = of_batch(of_image, model.batch);
  const auto [type, mac_cost] = type_of(graph, op, model);
  const Macs work =
      mac_cost * ((op.kind == OpKind::kDepthwise ? model.depthwise_cost : 1) * cost.macs);
  const bool is_cached = model.cache.value > 0 && cost.macs.value > 0;
  return rounded(std::max(work, is_cached ? cached_movement(graph, op, cost, type, model)
                                          : model.ridge_point * bytes(cost, type)));
}

Section whole(const Graph& graph) { return {graph, 0, static_cast<int>(graph.ops.size())}; }

Macs overhead_time(const LatencyModel& model) {
  return rounded({model.op_overhead.value * model.peak.value});
}

Macs floor_time(const LatencyModel& model) {
  return rounded({model.floor.value * model.peak.value});
}

Load load(const Section& section, std::span<const OpCost> costs, const LatencyModel& model) {
  if (model.resource != Resource::kLatency) return {.time = amount(section, costs, model)};
  return model.laws.empty() ? load_by_roofline(section, costs, model)
                            : load_by_laws(section, model);
}

Macs price(const Load& load, const LatencyModel& model) {
  if (model.laws.empty()) return load.time + floor_time(model);
  const Seconds wait = wait_for_weights(load.waited, load.weights, model.bandwidths);
  return load.time + rounded({wait.value * model.peak.value});
}

Macs price(const Graph& graph, const LatencyModel& model) {
  if (model.cache.value > 0 && model.convention != ByteConvention::kMnv4) {
    throw Error(
        "the cache term is defined only for the byte convention mnv4; leave one of the two out");
  }
  return price(load(whole(graph), op_costs(graph, model.convention), model), model);
}

std::vector<Macs> prices(const Graph& graph, std::span<const LatencyModel> models) {
  std::vector<Macs> latencies;
  for (const LatencyModel& model : models) latencies.push_back(price(graph, model));
  return latencies;
}

std::vector<std::string> kinds_without_law(const Section& section, const LatencyModel& model) {
  std::set<std::string> kinds;
  const FoldedGraph folded = fold_norms(section.graph);
  for (size_t i = 0; i < folded.graph.ops.size(); ++i) {
    if (!is_of(section, folded.origins[i])) continue;
    kinds.insert(law_kind(folded.graph, folded.graph.ops[i]));
  }
  for (const OpLaw& law : model.laws) kinds.erase(law.kind);
  return {kinds.begin(), kinds.end()};
}

}  // namespace ridgewalk
