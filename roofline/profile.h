// Hardware as the roofline sees it (roofline/profiles/*.yaml).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "roofline/cost.h"
#include "roofline/op_law.h"

namespace ridgewalk {

// A figure and its source; unverified ones are from memory or from a single unconfirmed page.
struct Sourced {
  double value = 0;
  std::string source = {};
  bool is_unverified = false;
  bool operator==(const Sourced&) const = default;
};

// What the plain roofline leaves out; each is off where it is absent (latency_model.h).
struct ProfileTerms {
  std::optional<Sourced> depthwise_cost;  // dense MACs that one depthwise MAC costs
  std::optional<Sourced> op_overhead_us;  // of each kernel
  KernelConvention kernels = KernelConvention::kFused;
  std::optional<Sourced> floor_ms;    // of a network, beyond its ops
  std::optional<Sourced> cache_kib;   // tensors up to this size move at cache_gbps
  std::optional<Sourced> cache_gbps;  // given with cache_kib
  bool operator==(const ProfileTerms&) const = default;
};

// What a device has besides time.
struct ProfileMemory {
  std::optional<Sourced> sram_kib;   // for activations
  std::optional<Sourced> flash_kib;  // for weights
  bool operator==(const ProfileMemory&) const = default;
};
struct ProfileEnergy {
  std::optional<Sourced> picojoules_per_mac;   // of the profile's data type
  std::optional<Sourced> picojoules_per_byte;  // moved to or from memory; given with the other
  std::map<DataType, Sourced> picojoules_per_mac_of = {};  // of other data types
  bool operator==(const ProfileEnergy&) const = default;
};

// How fast a working set of a size is read over and over: from the cache that holds it.
struct WorkingSet {
  double kib = 0;
  Sourced gbps;
  bool operator==(const WorkingSet&) const = default;
};

inline constexpr int kLargestBatch = 65536;

// How many images ran together in the measurements of a fit.
struct BatchRange {
  int fewest = 1, most = 1;
  bool operator==(const BatchRange&) const = default;
};

// A device: dense peaks and bandwidth from its datasheet or from measurements of the bare machine,
// and the effective figures that measured networks imply, which are the ones to predict with. A
// profile may be just a ridge point, or an overhead per operation beside which MACs and bytes cost
// nothing.
struct Profile {
  std::string name;
  std::string description;
  DataType data_type = DataType::kInt8;         // of the effective figures, and the default
  std::map<DataType, Sourced> peak_gmacs = {};  // dense, 1e9 MACs/s
  std::optional<Sourced> bandwidth_gbps = {};   // 1e9 bytes/s
  std::optional<Sourced> given_ridge_point =
      {};  // MACs/byte, where peak and bandwidth are not known
  std::optional<Sourced> effective_ridge_point = {};  // MACs/byte
  std::optional<Sourced> effective_peak_gmacs = {};
  // Of the measurements that effective figures, terms and laws were fitted to, where it is known.
  std::optional<BatchRange> fitted_batches = {};
  ProfileTerms terms = {};
  ProfileMemory memory = {};
  ProfileEnergy energy = {};
  std::string machine = {};  // of a calibrated profile: the CPU as the system names it
  int threads = 0;  // of a calibrated machine: what its figures are for; 0 where not stated
  // Of a calibrated machine: the latency of mnv4-conv-medium at that time; not used by the laws.
  std::optional<Sourced> probe_ms = {};
  std::vector<WorkingSet> working_sets = {};  // of a calibrated machine, smallest first
  std::vector<OpLaw> op_laws = {};            // of a calibrated machine
  std::string op_laws_source = {};
  bool operator==(const Profile&) const = default;

  ReadBandwidths read_bandwidths() const;
  // Peak over bandwidth, or as given; nothing where either is unknown for the data type.
  std::optional<MacsPerByte> datasheet_ridge_point(DataType type) const;
  // It has no ridge point, only the overhead of an operation.
  bool is_overhead_alone() const;
  // The effective ridge point, the datasheet's where there is none; 0 for an overhead alone.
  MacsPerByte ridge_point() const;
  bool ridge_point_is_effective() const { return effective_ridge_point.has_value(); }
  // The effective peak, the datasheet's where there is none, where one is known.
  std::optional<MacsPerSecond> peak() const;
  // Of a MAC in a data type, where it is known.
  std::optional<double> picojoules_per_mac(DataType type) const;
};

std::vector<std::string> built_in_profiles();
// A built-in name or a YAML file. Throws Error with file and line for what is missing or wrong.
Profile load_profile(const std::string& name_or_path);
Profile profile_from_yaml(const std::string& text, const std::string& file);
std::string to_yaml(const Profile& profile);

}  // namespace ridgewalk
