#include "roofline/latency_model.h"

#include <algorithm>

#include "roofline/latency.h"
#include "roofline/price.h"
#include "space/error.h"
#include "space/fold.h"

namespace ridgewalk {
namespace {

constexpr MacsPerSecond kUnit = {1e12};  // of prices to which a peak adds nothing

void add_terms(const Profile& profile, LatencyModel& model) {
  const ProfileTerms& terms = profile.terms;
  if (terms.depthwise_cost) model.depthwise_cost = terms.depthwise_cost->value;
  if (terms.op_overhead_us) model.op_overhead = {terms.op_overhead_us->value * 1e-6};
  model.kernels = terms.kernels;
  if (terms.floor_ms) model.floor = {terms.floor_ms->value * 1e-3};
  if (terms.cache_kib && terms.cache_gbps) {
    model.cache = {terms.cache_kib->value * 1024};
    model.cache_bandwidth = {terms.cache_gbps->value * 1e9};
  }
}

void add_laws(const Profile& profile, LatencyModel& model) {
  model.laws = profile.op_laws;
  model.bandwidths = profile.read_bandwidths();
  const auto peak = profile.peak_gmacs.find(profile.data_type);
  if (peak != profile.peak_gmacs.end()) model.bound_peak = {peak->second.value * 1e9};
  model.is_by_datasheet = model.has_fitted_ridge_point = false;
  model.fitted_batches = profile.fitted_batches;
  if (model.peak.value == 0) model.peak = kUnit;
}

// "fp32, int8": what a profile can price.
std::string data_types_of(const Profile& profile) {
  std::string list;
  for (DataType type : kValues<DataType>) {
    if (type != profile.data_type && !profile.datasheet_ridge_point(type)) continue;
    list += (list.empty() ? "" : ", ") + std::string(to_string(type));
  }
  return list;
}

// Ridge point, and peak where it is known. Throws Error for a data type without a ridge point.
LatencyModel roofline_of(const Profile& profile, DataType type) {
  LatencyModel model{.data_type = type, .profile = profile.name};
  const auto peak = profile.peak_gmacs.find(type);
  if (peak != profile.peak_gmacs.end()) model.peak = {peak->second.value * 1e9};
  model.is_by_datasheet = type != profile.data_type || !profile.effective_peak_gmacs;
  if (!model.is_by_datasheet) model.fitted_batches = profile.fitted_batches;
  if (type == profile.data_type && profile.is_overhead_alone()) {
    model.has_roofline = model.is_by_datasheet = false;
    model.fitted_batches = profile.fitted_batches;
    model.peak = kUnit;
  } else if (profile.ridge_point_is_effective() && type == profile.data_type) {
    model.ridge_point = profile.ridge_point();
    model.peak = profile.peak().value_or(MacsPerSecond{});
    model.has_fitted_ridge_point = model.is_by_datasheet;
  } else if (const auto datasheet = profile.datasheet_ridge_point(type)) {
    model.ridge_point = *datasheet;
  } else if (profile.is_overhead_alone()) {
    throw Error("profile '" + profile.name + "' has only the overhead of an operation in " +
                std::string(to_string(profile.data_type)) + ", which says nothing of " +
                std::string(to_string(type)) +
                "; leave the data type out, or fit latencies in that type");
  } else {
    throw Error("profile '" + profile.name + "' has no ridge point for " +
                std::string(to_string(type)) + "; it has " + data_types_of(profile) +
                " (add peak_gmacs for others)");
  }
  return model;
}

// Laws alone: a profile may have them before it has a ridge point.
LatencyModel law_model(const Profile& profile) {
  if (profile.op_laws.empty()) {
    throw Error("profile '" + profile.name +
                "' has no op laws; `ridgewalk calibrate` makes a profile that has them");
  }
  LatencyModel model{.peak = profile.peak().value_or(MacsPerSecond{}),
                     .data_type = profile.data_type,
                     .profile = profile.name};
  add_laws(profile, model);
  return model;
}

}  // namespace

bool LatencyModel::is_plain() const {
  return *this == LatencyModel{.ridge_point = ridge_point,
                               .peak = peak,
                               .data_type = data_type,
                               .is_by_datasheet = is_by_datasheet,
                               .has_fitted_ridge_point = has_fitted_ridge_point,
                               .fitted_batches = fitted_batches,
                               .profile = profile};
}

bool LatencyModel::is_beyond_batches() const {
  return fitted_batches && (batch < fitted_batches->fewest || batch > fitted_batches->most);
}

std::string why_guess(const LatencyModel& model) {
  if (model.has_fitted_ridge_point) return "by a datasheet's peak; only the ridge point was fitted";
  if (model.is_by_datasheet) return "by a datasheet's peak; no network was measured";
  if (model.has_head_by_datasheet) {
    return "a head in " + std::string(to_string(*model.head_type)) +
           " by the datasheet's peaks; no network with one was measured";
  }
  if (!model.is_beyond_batches()) return "";
  const auto& [fewest, most] = *model.fitted_batches;
  const std::string range =
      most == 1        ? "single images"
      : fewest == most ? "batches of " + std::to_string(most)
                       : "batches of " + std::to_string(fewest) + " to " + std::to_string(most);
  return "by what was measured of " + range + ", none of " +
         (model.batch == 1 ? "single images" : "batches of " + std::to_string(model.batch));
}

MacsPerByte LatencyModel::place_on_axis(DataType type) const {
  return {ridge_point.value * bytes_per_element(data_type) / bytes_per_element(type)};
}

std::vector<LatencyModel> rooflines(const std::vector<MacsPerByte>& ridge_points, DataType type) {
  std::vector<LatencyModel> models;
  for (MacsPerByte point : ridge_points) {
    models.push_back({.ridge_point = point, .data_type = type});
  }
  return models;
}

LatencyModel latency_model(const Profile& profile, std::optional<DataType> type, bool with_terms) {
  LatencyModel model = roofline_of(profile, type.value_or(profile.data_type));
  const bool has_laws = model.data_type == profile.data_type && !profile.op_laws.empty();
  if (with_terms) add_terms(profile, model);
  if (with_terms && has_laws) add_laws(profile, model);
  if (model.peak.value > 0) return model;
  throw Error("profile '" + profile.name + "' has no peak for " +
              std::string(to_string(model.data_type)) +
              ": its latencies are only relative; add peak_gmacs");
}

LatencyModel relative_model(const Profile& profile, std::optional<DataType> type) {
  const ProfileTerms& terms = profile.terms;
  const bool needs_peak =
      terms.op_overhead_us || terms.floor_ms || terms.cache_kib || !profile.op_laws.empty();
  if (needs_peak) return latency_model(profile, type);
  LatencyModel model = roofline_of(profile, type.value_or(profile.data_type));
  add_terms(profile, model);
  return model;
}

LatencyModel with_head(LatencyModel model, DataType head) {
  if (head == model.data_type) return model;
  model.head_type = head;
  model.head_mac_cost =
      double(bytes_per_element(head)) / double(bytes_per_element(model.data_type));
  return model;
}

LatencyModel with_head(LatencyModel model, const Profile& profile, DataType head) {
  if (head == model.data_type) return model;
  if (!model.laws.empty()) {
    throw Error("profile '" + profile.name + "' has laws of ops in " +
                std::string(to_string(model.data_type)) +
                " alone, which say nothing of a head in " + std::string(to_string(head)) +
                "; take a profile without laws");
  }
  const auto peak = [&](DataType type) {
    const auto found = profile.peak_gmacs.find(type);
    if (found != profile.peak_gmacs.end()) return found->second.value;
    throw Error("profile '" + profile.name + "' has no peak for " + std::string(to_string(type)) +
                ": what a head in " + std::string(to_string(head)) +
                " costs follows from the peaks of both types; add peak_gmacs");
  };
  model.head_type = head;
  model.head_mac_cost = peak(model.data_type) / peak(head);
  model.has_head_by_datasheet = true;
  return model;
}

LatencyModel resource_model(Resource resource, DataType type, std::optional<DataType> head) {
  LatencyModel model{.data_type = type};
  if (head != type) model.head_type = head;
  model.resource = resource;
  return model;
}

LatencyModel energy_model(const Profile& profile, std::optional<NetworkTypes> types) {
  if (!profile.energy.picojoules_per_mac) {
    throw Error("profile '" + profile.name +
                "' does not know the energy of a MAC and of a byte; add `energy` with its source");
  }
  const NetworkTypes in = types.value_or(NetworkTypes{profile.data_type});
  const auto picojoules = [&](DataType type) {
    if (const auto known = profile.picojoules_per_mac(type)) return *known;
    throw Error("profile '" + profile.name + "' does not know the energy of a MAC in " +
                std::string(to_string(type)) + "; add it to picojoules_per_mac_of with its source");
  };
  LatencyModel model = resource_model(Resource::kEnergy, in.stages, in.head);
  model.picojoules_per_mac = picojoules(in.stages);
  model.picojoules_per_byte = profile.energy.picojoules_per_byte->value;
  model.profile = profile.name;
  model.head_mac_cost = picojoules(in.head) / model.picojoules_per_mac;
  return model;
}

Prediction predict(const Graph& graph, const LatencyModel& model) {
  LatencyModel plain = model, dearer = model, roofline = model;
  plain.depthwise_cost = 1;
  plain.cache = dearer.cache = {};
  roofline.laws.clear();
  const std::vector<OpCost> costs = op_costs(graph, model.convention);
  Macs least, depthwise, cached, overheads, upper;
  for (size_t i = 0; i < costs.size(); ++i) {
    const Op& op = graph.ops[i];
    least += roofline_time(graph, op, costs[i], plain);
    depthwise += roofline_time(graph, op, costs[i], dearer);
    cached += roofline_time(graph, op, costs[i], model);
    if (is_kernel(op, costs[i], model.kernels)) overheads += overhead_time(model);
    if (model.has_roofline) {
      const OpCost cost = of_batch(costs[i], model.batch);
      const OpType type = type_of(graph, op, model);
      upper += type.mac_cost * cost.macs + model.ridge_point * bytes(cost, type.type);
    }
  }
  return {.roofline = least / model.peak,
          .depthwise = (depthwise - least) / model.peak,
          .cache = (cached - depthwise) / model.peak,
          .op_overhead = overheads / model.peak,
          .floor = floor_time(model) / model.peak,
          .upper = upper / model.peak,
          .sum = price(graph, roofline) / model.peak};
}

std::vector<OpLatency> predict_ops(const Graph& folded, const Profile& profile, int batch) {
  const LatencyModel model = law_model(profile);
  const std::vector<OpCost> costs = op_costs(folded);
  const auto by_law = op_times(folded, model.data_type, model.laws, model.bandwidths, batch);
  std::vector<OpLatency> latencies;
  for (size_t i = 0; i < costs.size(); ++i) {
    latencies.push_back(by_law[i] ? OpLatency{*by_law[i]}
                                  : OpLatency{lower_bound(of_batch(costs[i], batch), model), true});
  }
  return latencies;
}

CalibratedLatency predict_by_laws(const Graph& graph, const Profile& profile, int batch) {
  LatencyModel model = law_model(profile);
  model.batch = batch;
  return {.total = price(graph, model) / model.peak,
          .unknown = kinds_without_law(whole(graph), model)};
}

}  // namespace ridgewalk
