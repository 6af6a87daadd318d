#include "experiments/run/target_config.h"

#include <optional>
#include <string>
#include <vector>

#include "experiments/run/config_files.h"
#include "roofline/cost_table.h"
#include "roofline/price.h"
#include "space/error.h"
#include "space/lowering.h"
#include "space/number.h"

namespace ridgewalk {
namespace {

// " fp32" behind the name of a target, unless it is of the usual data type.
std::string named_type(DataType type, DataType usual) {
  return type == usual ? "" : " " + std::string(to_string(type));
}

std::optional<DataType> read_head_type(FieldReader& reader) {
  std::optional<DataType> type;
  if (reader.has("head_type")) reader.optional("head_type", type.emplace());
  return type;
}

std::string named_head(const LatencyModel& model) {
  return model.head_type ? " head " + std::string(to_string(*model.head_type)) : "";
}

// "'peak_memory_kib', 'weights_mib', ..."
std::string resource_keys() {
  std::string keys;
  for (const ResourceUnit& one : kResourceUnits) {
    keys += (keys.empty() ? "'" : ", '") + std::string(one.key) + "'";
  }
  return keys;
}

// " batch 8" behind the name of a target of more than one image.
std::string named_batch(int batch) { return batch == 1 ? "" : " batch " + std::to_string(batch); }

int read_batch(FieldReader& reader) {
  int batch = 1;
  bounded(reader, "batch", batch, 1, kLargestBatch);
  return batch;
}

// A lower bound is no unit.
void refuse_without_law(const Graph& graph, const LatencyModel& model) {
  if (model.laws.empty()) return;
  const std::vector<std::string> kinds = kinds_without_law(whole(graph), model);
  if (kinds.empty()) return;
  throw Error("profile '" + model.profile + "' has no law for " + kinds.front() + " of '" +
              graph.name + "'; take another relative_to, or give latency_ms");
}

// What the latency of a target is measured against: relative_to: ARCH [and factor: X].
std::vector<Macs> relative_latency(FieldReader& reader, const SearchSpace& space,
                                   const std::vector<LatencyModel>& models) {
  double factor = 1;
  bounded(reader, "factor", factor, 1e-6, 1e6);
  const Architecture reference = read_architecture(reader, "relative_to");
  return at_line(reader.source(), [&] {
    const Graph graph = lower(for_space(reference, space));
    std::vector<Macs> result;
    for (const LatencyModel& model : models) {
      refuse_without_law(graph, model);
      result.push_back(factor * price(graph, model));
    }
    return result;
  });
}

// {ridge: [FIRST, LAST], relative_to: ARCH
//  [, factor: X, reduce: worst|mean, points: N, data_type: T, head_type: T, batch: N]}.
Target read_range_target(FieldReader& reader, const SearchSpace& space) {
  const YamlSource source = reader.child("ridge");
  const std::vector<double> ends = reader.list<double>("ridge");
  if (ends.size() != 2 || !(ends[0] >= 0 && ends[0] < ends[1] && ends[1] <= 1e6)) {
    source.fail("'ridge' must be two ridge points from 0 to 1000000, the lower one first");
  }
  int points = 32;
  bounded(reader, "points", points, 2, 1024);
  DataType type = DataType::kInt8;
  reader.optional("data_type", type);
  Target target{.name = {},
                .models = rooflines(spread_ridge_points(ends[0], ends[1], points), type),
                .latency = {}};
  reader.optional("reduce", target.reduce);
  target.name = "ridge points " + number_text(ends[0]) + " to " + number_text(ends[1]) + ", " +
                std::string(to_string(target.reduce)) + named_type(type, DataType::kInt8);
  const int batch = read_batch(reader);
  const std::optional<DataType> head = read_head_type(reader);
  for (LatencyModel& model : target.models) {
    if (head) model = with_head(std::move(model), *head);
    model.batch = batch;
  }
  target.name += named_head(target.models[0]) + named_batch(batch);
  target.latency = relative_latency(reader, space, target.models);
  return target;
}

// {profile: NAME or ridge_point: X [, data_type: T, head_type: T, batch: N]}: what prices a target.
// The data type is the profile's own, or int8, unless given; a head of another type is priced by
// the profile's peaks.
LatencyModel read_device(FieldReader& reader, const SearchSpace& space, Target& target) {
  const YamlSource source = reader.source();
  if (reader.has("profile") == reader.has("ridge_point")) {
    source.fail("a target needs one of 'profile', 'ridge_point', 'ridge', or " + resource_keys());
  }
  const int batch = read_batch(reader);
  std::optional<DataType> type;
  if (reader.has("data_type")) reader.optional("data_type", type.emplace());
  const std::optional<DataType> head = read_head_type(reader);
  if (reader.has("ridge_point")) {
    LatencyModel model{.data_type = type.value_or(DataType::kInt8), .batch = batch};
    bounded(reader, "ridge_point", model.ridge_point.value, 0, 1e6);
    target.name = "ridge point " + reader.required<std::string>("ridge_point") +
                  named_type(model.data_type, DataType::kInt8);
    if (head) model = with_head(std::move(model), *head);
    target.name += named_head(model) + named_batch(batch);
    return model;
  }
  const Profile profile = read_profile(reader, "profile");
  target.profile = profile;
  return at_line(source, [&] {
    LatencyModel model = relative_model(profile, type);
    if (head) model = with_head(std::move(model), profile, *head);
    model.batch = batch;
    target.name = profile.name + named_type(model.data_type, profile.data_type) +
                  named_head(model) + named_batch(batch);
    // Refuses laws that lack an op of the space, here where the line is known.
    if (!model.laws.empty()) const CostTable table(space, {model});
    return model;
  });
}

// A device with {latency_macs: X, latency_ms: X (the device must know its peak) or
// relative_to: ARCH [and factor: X]}.
Target read_point_target(FieldReader& reader, const SearchSpace& space) {
  const YamlSource source = reader.source();
  Target target;
  const LatencyModel model = read_device(reader, space, target);
  target.models = {model};
  const bool by_macs = reader.has("latency_macs");
  const bool by_ms = reader.has("latency_ms");
  const bool relative = reader.has("relative_to");
  if (by_macs + by_ms + relative != 1) {
    source.fail("a target needs one of 'latency_macs', 'latency_ms', 'relative_to', or " +
                resource_keys());
  }
  if (relative) {
    target.is_relative = true;
    target.latency = relative_latency(reader, space, target.models);
    return target;
  }
  Macs latency;
  if (by_macs) bounded(reader, "latency_macs", latency.value, 1, 1e18);
  if (by_ms) {
    double latency_ms = 0;
    bounded(reader, "latency_ms", latency_ms, 1e-9, 1e9);
    if (model.peak.value == 0) {
      source.fail("'latency_ms' needs a profile with a peak" +
                  (model.profile.empty() ? "" : " for " + std::string(to_string(model.data_type))) +
                  "; give latency_macs or relative_to");
    }
    latency.value = latency_ms * 1e-3 * model.peak.value;
  }
  target.latency = {latency};
  return target;
}

// {peak_memory_kib: X}, {weights_mib: X}, ... [, data_type: T, head_type: T] [, profile: P]
// [, batch: N]; energy needs the profile, of the others it gives the data type. What is stored is
// so once for all images.
Target read_resource_target(FieldReader& reader, const ResourceUnit& unit) {
  const YamlSource source = reader.source();
  const bool is_energy = unit.resource == Resource::kEnergy;
  Target target;
  DataType type = DataType::kInt8;
  if (reader.has("profile")) {
    target.profile = read_profile(reader, "profile");
    type = target.profile->data_type;
  } else if (is_energy) {
    source.fail("'energy_mj' needs a profile that knows the energy of a MAC and of a byte");
  }
  const bool has_width =
      unit.resource == Resource::kPeakMemory || unit.resource == Resource::kWeights;
  if (!is_energy && !has_width && reader.has("data_type")) {
    reader.child("data_type")
        .fail("'" + std::string(unit.key) + "' is the same in every data type; leave it out");
  }
  if (has_width) reader.optional("data_type", type);
  std::optional<DataType> head;
  if (is_energy || has_width) head = read_head_type(reader);
  target.models = {is_energy
                       ? at_line(source,
                                 [&] {
                                   return energy_model(*target.profile,
                                                       NetworkTypes{type, head.value_or(type)});
                                 })
                       : resource_model(unit.resource, type, head)};
  target.name = std::string(to_string(unit.resource)) +
                (is_energy ? " on " + target.profile->name : "") +
                (has_width ? named_type(type, DataType::kInt8) : "") + named_head(target.models[0]);
  if (reader.has("batch")) {
    if (unit.resource != Resource::kPeakMemory && !is_energy) {
      reader.child("batch").fail("'" + std::string(unit.key) +
                                 "' is of a network, however many images run together; 'batch' is "
                                 "for latencies, peak_memory_kib and energy_mj");
    }
    target.models[0].batch = read_batch(reader);
    target.name += named_batch(target.models[0].batch);
  }
  double amount = 0;
  bounded(reader, unit.key, amount, 1e-9, 1e9);
  target.latency = {{amount * unit.unit}};
  return target;
}

Target read_target(const YamlSource& source, const SearchSpace& space) {
  FieldReader reader(source);
  std::vector<const ResourceUnit*> named;
  for (const ResourceUnit& one : kResourceUnits) {
    if (reader.has(one.key)) named.push_back(&one);
  }
  if (named.size() > 1) {
    source.fail("'" + std::string(named[0]->key) + "' and '" + named[1]->key +
                "' are two targets; list each by itself");
  }
  Target target = !named.empty()        ? read_resource_target(reader, *named[0])
                  : reader.has("ridge") ? read_range_target(reader, space)
                                        : read_point_target(reader, space);
  reader.optional("limit", target.is_limit);
  reader.finish();
  return target;
}

}  // namespace

Reward read_reward(FieldReader& config, const YamlSource& targets, const SearchSpace& space) {
  Reward reward;
  if (config.has("reward")) {
    FieldReader reader(config.child("reward"));
    reader.optional("form", reward.form);
    bounded(reader, "beta", reward.beta, -100, 0);
    reader.optional("combine", reward.combine);
    reader.finish();
  }
  if (targets.node.IsMap()) {
    reward.targets = {read_target(targets, space)};
    return reward;
  }
  if (!targets.node.IsSequence() || targets.node.size() == 0) {
    targets.fail("'targets' must be a target or list at least one");
  }
  for (const YAML::Node& node : targets.node) {
    reward.targets.push_back(read_target({node, targets.file}, space));
  }
  return reward;
}

Architecture for_space(Architecture architecture, const SearchSpace& space) {
  require_classifier(architecture);
  architecture.resolution = space.resolution[0];
  architecture.channels = space.channels;
  architecture.classes = space.classes;
  return architecture;
}

}  // namespace ridgewalk
