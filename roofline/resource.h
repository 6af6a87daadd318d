// What a network takes of a device, and what can be asked of a search.
#pragma once

#include "space/names.h"

namespace ridgewalk {

enum class Resource { kLatency, kPeakMemory, kWeights, kParameters, kMacs, kEnergy };
template <>
inline constexpr auto kNames<Resource> =
    name_table<Resource>("resource", {{Resource::kLatency, "latency"},
                                      {Resource::kPeakMemory, "peak memory"},
                                      {Resource::kWeights, "weights"},
                                      {Resource::kParameters, "parameters"},
                                      {Resource::kMacs, "MACs"},
                                      {Resource::kEnergy, "energy"}});

// How files and tables state a resource: `key`, in units of `unit` bytes, parameters, MACs or
// picojoules.
struct ResourceUnit {
  Resource resource;
  const char* key;
  const char* text;
  double unit;
};
// Of all but latency, which targets state in several ways.
inline constexpr ResourceUnit kResourceUnits[] = {
    {Resource::kPeakMemory, "peak_memory_kib", "KiB", 1024},
    {Resource::kWeights, "weights_mib", "MiB", 1024 * 1024},
    {Resource::kParameters, "parameters_m", "M", 1e6},
    {Resource::kMacs, "macs_m", "M", 1e6},
    {Resource::kEnergy, "energy_mj", "mJ", 1e9}};

constexpr const ResourceUnit* unit_of(Resource resource) {
  for (const ResourceUnit& one : kResourceUnits) {
    if (one.resource == resource) return &one;
  }
  return nullptr;
}

}  // namespace ridgewalk
