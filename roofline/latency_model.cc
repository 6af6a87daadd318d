#include "roofline/latency_model.h"

#include <algorithm>
#include <set>

#include "space/error.h"
#include "space/fold.h"

namespace ridgewalk {
namespace {

// Time to move the op's tensors in MACs at peak; those that fit into the cache move at its
// bandwidth.
Macs cached_movement(const Graph& graph, const Op& op, const OpCost& cost,
                     const LatencyModel& model) {
  const double cache_ridge_point = model.peak.value / model.cache_bandwidth.value;
  Macs sum;
  const auto move = [&](int64_t elements) {
    const Bytes size{double(elements) * bytes_per_element(model.data_type)};
    sum += MacsPerByte{size <= model.cache ? std::min(cache_ridge_point, model.ridge_point.value)
                                           : model.ridge_point.value} *
           size;
  };
  move(cost.weight_elements);
  move(op.output.elements());
  for (int input : op.inputs) move(graph.ops[input].output.elements());
  return sum;
}

}  // namespace

LatencyModel latency_model(const Profile& profile, std::optional<DataType> type, bool with_terms) {
  LatencyModel model{.ridge_point = {}, .peak = {}, .data_type = type.value_or(profile.data_type)};
  if (profile.ridge_point_is_effective() && model.data_type == profile.data_type) {
    model.ridge_point = profile.ridge_point();
    model.peak = profile.peak().value_or(MacsPerSecond{});
  } else if (const auto datasheet = profile.datasheet_ridge_point(model.data_type)) {
    model.ridge_point = *datasheet;
    const auto peak = profile.peak_gmacs.find(model.data_type);
    if (peak != profile.peak_gmacs.end()) model.peak = {peak->second.value * 1e9};
  }
  if (model.peak.value == 0) {
    throw Error("profile '" + profile.name + "' has no peak for " +
                std::string(to_string(model.data_type)) +
                ": its latencies are only relative; add peak_gmacs");
  }
  if (!with_terms) return model;
  const ProfileTerms& terms = profile.terms;
  if (terms.depthwise_cost) model.depthwise_cost = terms.depthwise_cost->value;
  if (terms.op_overhead_us) model.op_overhead = {terms.op_overhead_us->value * 1e-6};
  if (terms.floor_ms) model.floor = {terms.floor_ms->value * 1e-3};
  if (terms.cache_kib && terms.cache_gbps) {
    model.cache = {terms.cache_kib->value * 1024};
    model.cache_bandwidth = {terms.cache_gbps->value * 1e9};
  }
  return model;
}

Prediction predict(const Graph& graph, const LatencyModel& model) {
  const bool has_cache = model.cache.value > 0;
  if (has_cache && model.convention != ByteConvention::kMnv4) {
    throw Error(
        "the cache term is defined only for the byte convention mnv4; leave one of the two out");
  }
  const std::vector<OpCost> costs = op_costs(graph, model.convention);
  Macs plain, depthwise, cached, upper;
  Prediction prediction;
  for (size_t i = 0; i < costs.size(); ++i) {
    const Op& op = graph.ops[i];
    const Macs moved = model.ridge_point * bytes(costs[i], model.data_type);
    plain += std::max(costs[i].macs, moved);
    upper += costs[i].macs + moved;
    const Macs work = (op.kind == OpKind::kDepthwise ? model.depthwise_cost : 1) * costs[i].macs;
    depthwise += std::max(work, moved);
    const bool has_macs = costs[i].macs.value > 0;
    cached += has_cache && has_macs ? std::max(work, cached_movement(graph, op, costs[i], model))
                                    : std::max(work, moved);
    if (has_macs) prediction.op_overhead += model.op_overhead;
  }
  prediction.roofline = plain / model.peak;
  prediction.depthwise = (depthwise - plain) / model.peak;
  prediction.cache = (cached - depthwise) / model.peak;
  prediction.floor = model.floor;
  prediction.upper = upper / model.peak;
  return prediction;
}

std::vector<OpLatency> predict_ops(const Graph& folded, const Profile& profile) {
  if (profile.op_laws.empty()) {
    throw Error("profile '" + profile.name +
                "' has no op laws; `ridgewalk calibrate` makes a profile that has them");
  }
  const DataType type = profile.data_type;
  const ReadBandwidths bandwidths = profile.read_bandwidths();
  const auto peak = profile.peak_gmacs.find(type);
  BytesPerSecond fastest;
  for (const ReadBandwidth& one : bandwidths) fastest = std::max(fastest, one.bandwidth);
  const std::vector<OpCost> costs = op_costs(folded);
  const auto by_law = op_times(folded, type, profile.op_laws, bandwidths);
  std::vector<OpLatency> latencies;
  for (size_t i = 0; i < costs.size(); ++i) {
    if (by_law[i]) {
      latencies.push_back({*by_law[i]});
      continue;
    }
    Seconds bound = bytes(costs[i], type) / fastest;
    if (peak != profile.peak_gmacs.end()) {
      bound = std::max(bound, costs[i].macs / MacsPerSecond{1e9 * peak->second.value});
    }
    latencies.push_back({bound, true});
  }
  return latencies;
}

CalibratedLatency predict_by_laws(const Graph& graph, const Profile& profile) {
  const Graph folded = fold_norms(graph).graph;
  const std::vector<OpLatency> ops = predict_ops(folded, profile);
  CalibratedLatency latency;
  std::set<std::string> unknown;
  for (size_t i = 0; i < ops.size(); ++i) {
    latency.total += ops[i].seconds;
    if (ops[i].is_lower_bound) unknown.insert(law_kind(folded, folded.ops[i]));
  }
  latency.unknown.assign(unknown.begin(), unknown.end());
  return latency;
}

}  // namespace ridgewalk
