#include "roofline/profile.h"

#include <filesystem>
#include <set>
#include <span>

#include "space/embedded.h"
#include "space/yaml_writer.h"

namespace ridgewalk {

std::span<const EmbeddedFile> embedded_profiles();

void fields(auto& v, Of<Sourced> auto& figure) {
  v.required("value", figure.value);
  v.required("source", figure.source);
  v.omittable("unverified", figure.is_unverified);
}

namespace {

constexpr double kLargestFigure = 1e15;
constexpr double kLargest = 1e9;  // of a plain figure: nothing real is larger, and sums stay finite

// A figure that must be there.
void figure(FieldReader& reader, std::string_view name, double lowest, Sourced& figure) {
  FieldReader parts(reader.child(name));
  fields(parts, figure);
  parts.finish();
  const std::string quoted = "'" + std::string(name) + "'";
  if (!(figure.value >= lowest && figure.value <= kLargestFigure)) {
    parts.child("value").fail(quoted + " must be from " + number_text(lowest) + " to " +
                              number_text(kLargestFigure));
  }
  if (figure.source.empty()) {
    parts.child("source").fail(quoted + " needs the source of its value");
  }
}

void figure(FieldWriter& writer, std::string_view name, double, const Sourced& figure) {
  writer.part(name, [&](FieldWriter& parts) { fields(parts, figure); });
}

void figure(FieldReader& reader, std::string_view name, double lowest,
            std::optional<Sourced>& found) {
  figure(reader, name, lowest, found.emplace());
}

void figure(FieldWriter& writer, std::string_view name, double lowest,
            const std::optional<Sourced>& found) {
  figure(writer, name, lowest, *found);
}

void optional_figure(auto& v, std::string_view name, double lowest,
                     Of<std::optional<Sourced>> auto& found) {
  if (v.has_part(name, found.has_value())) figure(v, name, lowest, found);
}

// [fewest, most]
void batches(FieldReader& reader, std::string_view name, std::optional<BatchRange>& found) {
  const std::vector<int> ends = reader.list<int>(name);
  if (ends.size() != 2 || ends[0] < 1 || ends[0] > ends[1] || ends[1] > kLargestBatch) {
    reader.child(name).fail("'" + std::string(name) + "' must be two numbers of images from 1 to " +
                            std::to_string(kLargestBatch) + ", the smaller one first");
  }
  found = {ends[0], ends[1]};
}

void batches(FieldWriter& writer, std::string_view name, const std::optional<BatchRange>& found) {
  writer.out() << YAML::Key << std::string(name) << YAML::Value << YAML::Flow << YAML::BeginSeq
               << found->fewest << found->most << YAML::EndSeq;
}

using FiguresByType = std::map<DataType, Sourced>;

void figures_by_type(FieldReader& reader, FiguresByType& found) {
  for (DataType type : kValues<DataType>) {
    if (reader.has(to_string(type))) figure(reader, to_string(type), 1e-6, found[type]);
  }
}

void figures_by_type(FieldWriter& writer, const FiguresByType& figures) {
  for (const auto& [type, one] : figures) figure(writer, to_string(type), 1e-6, one);
}

template <class T>
void list(FieldReader& reader, std::string_view name, std::vector<T>& items) {
  reader.required(name, items);
}

// One field a line, unlike a FieldWriter's lists.
template <class T>
void list(FieldWriter& writer, std::string_view name, const std::vector<T>& items) {
  YAML::Emitter& out = writer.out();
  out << YAML::Key << std::string(name) << YAML::Value << YAML::BeginSeq;
  for (const T& item : items) {
    out << YAML::BeginMap;
    fields(writer, item);
    out << YAML::EndMap;
  }
  out << YAML::EndSeq;
}

}  // namespace

void fields(auto& v, Of<ProfileTerms> auto& terms) {
  optional_figure(v, "depthwise_cost", 1e-3, terms.depthwise_cost);
  optional_figure(v, "op_overhead_us", 0, terms.op_overhead_us);
  v.omittable("kernels", terms.kernels, KernelConvention::kFused);
  optional_figure(v, "floor_ms", 0, terms.floor_ms);
  optional_figure(v, "cache_kib", 0, terms.cache_kib);
  optional_figure(v, "cache_gbps", 1e-6, terms.cache_gbps);
}

void fields(auto& v, Of<ProfileMemory> auto& memory) {
  optional_figure(v, "sram_kib", 1e-3, memory.sram_kib);
  optional_figure(v, "flash_kib", 1e-3, memory.flash_kib);
}

void fields(auto& v, Of<ProfileEnergy> auto& energy) {
  optional_figure(v, "picojoules_per_mac", 0, energy.picojoules_per_mac);
  optional_figure(v, "picojoules_per_byte", 0, energy.picojoules_per_byte);
  if (v.has_part("picojoules_per_mac_of", !energy.picojoules_per_mac_of.empty())) {
    v.part("picojoules_per_mac_of",
           [&](auto& by_type) { figures_by_type(by_type, energy.picojoules_per_mac_of); });
  }
}

void fields(auto& v, Of<WorkingSet> auto& set) {
  v.required("kib", set.kib, {1e-3, kLargest});
  figure(v, "gbps", 1e-6, set.gbps);
}

void fields(auto& v, Of<OpLawSpread> auto& spread) {
  v.optional("error", spread.error, {0, kLargest});
  v.optional("overhead_us", spread.overhead, {0, kLargest});
  v.optional("gmacs", spread.rate, {0, kLargest});
  v.optional("weights", spread.weights, {0, kLargest});
  v.optional("input", spread.input, {0, kLargest});
  v.optional("output", spread.output, {0, kLargest});
}

void fields(auto& v, Of<OpLaw> auto& law) {
  v.required("kind", law.kind);
  v.omittable("overhead_us", law.overhead_us, 0, {0, kLargest});
  v.optional("gmacs", law.gmacs, {1e-6, kLargest});
  v.omittable("weights", law.weights, 0, {0, kLargest});
  v.omittable("input", law.input, 0, {0, kLargest});
  v.omittable("output", law.output, 0, {0, kLargest});
  v.optional("ops", law.ops, {0, kLargest});
  v.omittable("spread", law.spread);
}

void fields(auto& v, Of<Profile> auto& profile) {
  v.required("name", profile.name);
  v.optional("description", profile.description);
  v.required("data_type", profile.data_type);
  if (v.has_part("peak_gmacs", !profile.peak_gmacs.empty())) {
    v.part("peak_gmacs", [&](auto& by_type) { figures_by_type(by_type, profile.peak_gmacs); });
  }
  optional_figure(v, "bandwidth_gbps", 1e-6, profile.bandwidth_gbps);
  optional_figure(v, "ridge_point", 0, profile.given_ridge_point);
  if (v.has_part("effective", profile.effective_ridge_point.has_value())) {
    v.part("effective", [&](auto& effective) {
      figure(effective, "ridge_point", 0, profile.effective_ridge_point);
      optional_figure(effective, "peak_gmacs", 1e-6, profile.effective_peak_gmacs);
    });
  }
  if (v.has_part("fitted_batches", profile.fitted_batches.has_value())) {
    batches(v, "fitted_batches", profile.fitted_batches);
  }
  if (v.has_part("terms", profile.terms != ProfileTerms{})) {
    v.part("terms", [&](auto& terms) { fields(terms, profile.terms); });
  }
  if (v.has_part("memory", profile.memory != ProfileMemory{})) {
    v.part("memory", [&](auto& memory) { fields(memory, profile.memory); });
  }
  if (v.has_part("energy", profile.energy != ProfileEnergy{})) {
    v.part("energy", [&](auto& energy) { fields(energy, profile.energy); });
  }
  v.omittable("machine", profile.machine);
  v.omittable("threads", profile.threads, 0, {0, 4096});
  optional_figure(v, "probe_ms", 1e-9, profile.probe_ms);
  if (v.has_part("working_sets", !profile.working_sets.empty())) {
    list(v, "working_sets", profile.working_sets);
  }
  if (v.has_part("ops", !profile.op_laws.empty())) {
    v.part("ops", [&](auto& ops) {
      ops.required("source", profile.op_laws_source);
      list(ops, "laws", profile.op_laws);
    });
  }
}

namespace {

// What no field shows alone.
void check(const Profile& profile, FieldReader& reader) {
  if (profile.terms.cache_kib.has_value() != profile.terms.cache_gbps.has_value()) {
    reader.child("terms").fail("cache_kib and cache_gbps go together; give both or neither");
  }
  if (profile.terms.kernels != KernelConvention::kFused && !profile.terms.op_overhead_us) {
    reader.child("terms").fail("kernels say what op_overhead_us is of; give it, or leave both out");
  }
  const ProfileEnergy& energy = profile.energy;
  if (energy.picojoules_per_mac.has_value() != energy.picojoules_per_byte.has_value()) {
    reader.child("energy").fail(
        "picojoules_per_mac and picojoules_per_byte go together; give both or neither");
  }
  if (!energy.picojoules_per_mac_of.empty() && !energy.picojoules_per_mac) {
    reader.child("energy").fail(
        "picojoules_per_mac_of is of other data types than the profile's; give that as "
        "picojoules_per_mac");
  }
  if (energy.picojoules_per_mac_of.count(profile.data_type) > 0) {
    reader.child("energy").fail("picojoules_per_mac is that of " +
                                std::string(to_string(profile.data_type)) +
                                "; leave it out of picojoules_per_mac_of");
  }
  std::set<std::string> kinds;
  for (size_t i = 0; i < profile.op_laws.size(); ++i) {
    const std::string& kind = profile.op_laws[i].kind;
    const YamlSource law{reader.child("ops").node["laws"][i], reader.source().file};
    if (kind.empty()) law.fail("'kind' is empty; name the ops");
    if (!kinds.insert(kind).second) law.fail("kind '" + kind + "' has two laws; keep one");
  }
  if (!profile.op_laws.empty() && profile.working_sets.empty()) {
    reader.child("ops").fail("op laws need working_sets; add them");
  }
  for (size_t i = 1; i < profile.working_sets.size(); ++i) {
    if (profile.working_sets[i - 1].kib < profile.working_sets[i].kib) continue;
    reader.child("working_sets").fail("must be in ascending order of kib");
  }
  if (profile.given_ridge_point && profile.bandwidth_gbps && !profile.peak_gmacs.empty()) {
    reader.child("ridge_point").fail("follows from peak_gmacs and bandwidth_gbps; leave it out");
  }
  const bool has_ridge_point =
      profile.effective_ridge_point || profile.datasheet_ridge_point(profile.data_type);
  if (!has_ridge_point && !profile.is_overhead_alone()) {
    reader.source().fail("no ridge point for " + std::string(to_string(profile.data_type)) +
                         "; give its peak_gmacs with bandwidth_gbps, or effective, or ridge_point");
  }
}

}  // namespace

std::optional<MacsPerByte> Profile::datasheet_ridge_point(DataType type) const {
  const auto peak_of_type = peak_gmacs.find(type);
  if (peak_of_type != peak_gmacs.end() && bandwidth_gbps) {
    return MacsPerByte{peak_of_type->second.value / bandwidth_gbps->value};
  }
  if (given_ridge_point && type == data_type) return MacsPerByte{given_ridge_point->value};
  return std::nullopt;
}

bool Profile::is_overhead_alone() const {
  return !effective_ridge_point && !datasheet_ridge_point(data_type) && terms.op_overhead_us;
}

MacsPerByte Profile::ridge_point() const {
  if (effective_ridge_point) return {effective_ridge_point->value};
  if (is_overhead_alone()) return {};
  return datasheet_ridge_point(data_type).value();
}

std::optional<double> Profile::picojoules_per_mac(DataType type) const {
  if (type == data_type && energy.picojoules_per_mac) return energy.picojoules_per_mac->value;
  const auto found = energy.picojoules_per_mac_of.find(type);
  if (found == energy.picojoules_per_mac_of.end()) return std::nullopt;
  return found->second.value;
}

std::optional<MacsPerSecond> Profile::peak() const {
  if (effective_peak_gmacs) return MacsPerSecond{effective_peak_gmacs->value * 1e9};
  const auto found = peak_gmacs.find(data_type);
  if (found == peak_gmacs.end()) return std::nullopt;
  return MacsPerSecond{found->second.value * 1e9};
}

ReadBandwidths Profile::read_bandwidths() const {
  ReadBandwidths bandwidths;
  for (const WorkingSet& set : working_sets) {
    bandwidths.push_back({{1024 * set.kib}, {1e9 * set.gbps.value}});
  }
  return bandwidths;
}

std::vector<std::string> built_in_profiles() { return names(embedded_profiles()); }

Profile load_profile(const std::string& name_or_path) {
  if (const auto text = find(embedded_profiles(), name_or_path)) {
    return profile_from_yaml(std::string(*text), name_or_path);
  }
  if (path_exists(name_or_path)) {
    return profile_from_yaml(read_file(name_or_path), name_or_path);
  }
  throw Error(
      name_or_path, 0,
      "neither a file nor a built-in profile; " + suggestion(name_or_path, built_in_profiles()));
}

Profile profile_from_yaml(const std::string& text, const std::string& file) {
  FieldReader reader(parse_yaml(text, file));
  Profile profile;
  fields(reader, profile);
  reader.finish();
  check(profile, reader);
  return profile;
}

std::string to_yaml(const Profile& profile) { return yaml_document(profile); }

}  // namespace ridgewalk
