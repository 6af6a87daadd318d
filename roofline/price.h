// The one place that prices: targets of a search, cost tables, sweeps and descriptions all ask
// here.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "roofline/latency_model.h"

namespace ridgewalk {

// Some ops of a graph: [begin, end).
struct Section {
  const Graph& graph;
  int begin = 0, end = 0;
};
Section whole(const Graph& graph);

// Whether the largest of a network's parts counts, not their sum.
bool is_peak(const LatencyModel& model);
// Whether it matters what a network has beside shapes and kernels: activations and layer scales.
bool prices_as_run(const LatencyModel& model);

// What ops add to a network's latency. Every figure is rounded() op by op, so that sums of them are
// exact and equal in any order: a network that is priced part by part has the price of the whole,
// to the last bit.
struct Load {
  // Of one MAC at the model's peak; of another resource than latency what it is counted in.
  Macs time = {};
  // Of a model with laws: how fast weights come depends on how many the whole network has.
  Bytes weights = {}, waited = {};
};
// `costs` are the graph's by the model's byte convention, of one image.
Load load(const Section& section, std::span<const OpCost> costs, const LatencyModel& model);
// The latency of a network of that load: with the wait for its weights, and the floor.
Macs price(const Load& load, const LatencyModel& model);

// Latency in times of one MAC at the model's peak; over the peak it is seconds. An op without a law
// counts with its lower bound. Throws Error when the cache term is used with a byte convention
// other than mnv4.
Macs price(const Graph& graph, const LatencyModel& model);
std::vector<Macs> prices(const Graph& graph, std::span<const LatencyModel> models);

// The kinds of ops that a model with laws has no law for, in alphabetical order.
std::vector<std::string> kinds_without_law(const Section& section, const LatencyModel& model);

// In what an op of the graph computes, and the MACs of the model's data type that cost as much as
// one of its MACs.
struct OpType {
  DataType type;
  double mac_cost;
};
OpType type_of(const Graph& graph, const Op& op, const LatencyModel& model);

// The parts of a price, each rounded(): of a batch, from the cost of one image.
Macs roofline_time(const Graph& graph, const Op& op, const OpCost& of_image,
                   const LatencyModel& model);
Macs overhead_time(const LatencyModel& model);  // of a kernel
Macs floor_time(const LatencyModel& model);     // of a network
// The least that an op without a law can take, at the cost of its batch; not rounded.
Seconds lower_bound(const OpCost& cost, const LatencyModel& model);

}  // namespace ridgewalk
