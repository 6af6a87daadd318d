#include "roofline/profile.h"

#include <cmath>
#include <filesystem>
#include <span>

#include "space/embedded.h"
#include "space/yaml.h"

namespace ridgewalk {

std::span<const EmbeddedFile> embedded_profiles();

namespace {

Sourced read_figure(const YamlSource& source, const std::string& name, double lowest) {
  FieldReader reader(source);
  Sourced figure{.value = reader.required<double>("value"),
                 .source = reader.required<std::string>("source")};
  reader.optional("unverified", figure.is_unverified);
  reader.finish();
  if (!(figure.value >= lowest && figure.value <= 1e15)) {
    reader.child("value").fail("'" + name + "' must be from " + number_text(lowest) + " to 1e15");
  }
  if (figure.source.empty()) {
    reader.child("source").fail("'" + name + "' needs the source of its value");
  }
  return figure;
}

constexpr std::pair<const char*, std::optional<double> OpLawSpread::*> kSpreads[] = {
    {"error", &OpLawSpread::error}, {"overhead_us", &OpLawSpread::overhead},
    {"gmacs", &OpLawSpread::rate},  {"weights", &OpLawSpread::weights},
    {"input", &OpLawSpread::input}, {"output", &OpLawSpread::output}};

void read_figure(FieldReader& reader, const std::string& name, double lowest,
                 std::optional<Sourced>& figure) {
  if (reader.has(name)) figure = read_figure(reader.child(name), name, lowest);
}

DataType read_data_type(const YamlSource& source, const std::string& name) {
  const auto type = data_type_named(name);
  if (!type) {
    source.fail("no data type is named '" + name + "'; there are int8, bf16, fp16, fp32");
  }
  return *type;
}

void read_effective(const YamlSource& source, Profile& profile) {
  FieldReader reader(source);
  profile.effective_ridge_point = read_figure(reader.child("ridge_point"), "ridge_point", 0);
  read_figure(reader, "peak_gmacs", 1e-6, profile.effective_peak_gmacs);
  reader.finish();
}

void read_terms(const YamlSource& source, ProfileTerms& terms) {
  FieldReader reader(source);
  read_figure(reader, "depthwise_cost", 1e-3, terms.depthwise_cost);
  read_figure(reader, "op_overhead_us", 0, terms.op_overhead_us);
  read_figure(reader, "floor_ms", 0, terms.floor_ms);
  read_figure(reader, "cache_kib", 0, terms.cache_kib);
  read_figure(reader, "cache_gbps", 1e-6, terms.cache_gbps);
  reader.finish();
  if (terms.cache_kib.has_value() != terms.cache_gbps.has_value()) {
    source.fail("cache_kib and cache_gbps go together; give both or neither");
  }
}

// A plain figure from `lowest` to 1e9: nothing real is larger, and sums stay finite.
double read_plain(FieldReader& reader, const std::string& name, double lowest) {
  const auto value = reader.required<double>(name);
  if (!(value >= lowest && value <= 1e9)) {
    reader.child(name).fail("'" + name + "' must be from " + number_text(lowest) + " to 1e9");
  }
  return value;
}

void read_plain(FieldReader& reader, const std::string& name, double lowest, auto& value) {
  if (reader.has(name)) value = read_plain(reader, name, lowest);
}

OpLaw read_law(const YamlSource& source) {
  FieldReader reader(source);
  OpLaw law{.kind = reader.required<std::string>("kind")};
  if (law.kind.empty()) reader.child("kind").fail("'kind' is empty; name the ops");
  read_plain(reader, "overhead_us", 0, law.overhead_us);
  read_plain(reader, "gmacs", 1e-6, law.gmacs);
  read_plain(reader, "weights", 0, law.weights);
  read_plain(reader, "input", 0, law.input);
  read_plain(reader, "output", 0, law.output);
  reader.optional("ops", law.ops);
  if (law.ops < 0) reader.child("ops").fail("'ops' must be at least 0");
  if (reader.has("spread")) {
    FieldReader spread(reader.child("spread"));
    for (const auto& [name, field] : kSpreads) read_plain(spread, name, 0, law.spread.*field);
    spread.finish();
  }
  reader.finish();
  return law;
}

void read_laws(const YamlSource& source, Profile& profile) {
  FieldReader reader(source);
  profile.op_laws_source = reader.required<std::string>("source");
  const YamlSource laws = reader.child("laws");
  if (!laws.node.IsSequence()) laws.fail("'laws' must be a list");
  for (const YAML::Node& node : laws.node) {
    OpLaw law = read_law({node, laws.file});
    for (const OpLaw& other : profile.op_laws) {
      if (other.kind != law.kind) continue;
      YamlSource{node, laws.file}.fail("kind '" + law.kind + "' has two laws; keep one");
    }
    profile.op_laws.push_back(std::move(law));
  }
  reader.finish();
}

void write_laws(YAML::Emitter& out, const Profile& profile) {
  if (profile.op_laws.empty()) return;
  const auto write = [&](const char* name, const std::optional<double>& value) {
    if (value) out << YAML::Key << name << YAML::Value << number_text(*value);
  };
  out << YAML::Key << "ops" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "source" << YAML::Value << profile.op_laws_source;
  out << YAML::Key << "laws" << YAML::Value << YAML::BeginSeq;
  for (const OpLaw& law : profile.op_laws) {
    out << YAML::BeginMap << YAML::Key << "kind" << YAML::Value << law.kind;
    if (law.overhead_us > 0) write("overhead_us", law.overhead_us);
    write("gmacs", law.gmacs);
    if (law.weights > 0) write("weights", law.weights);
    if (law.input > 0) write("input", law.input);
    if (law.output > 0) write("output", law.output);
    out << YAML::Key << "ops" << YAML::Value << law.ops;
    if (law.spread != OpLawSpread{}) {
      out << YAML::Key << "spread" << YAML::Value << YAML::Flow << YAML::BeginMap;
      for (const auto& [name, field] : kSpreads) write(name, law.spread.*field);
      out << YAML::EndMap;
    }
    out << YAML::EndMap;
  }
  out << YAML::EndSeq << YAML::EndMap;
}

void write_figure(YAML::Emitter& out, std::string_view name, const std::optional<Sourced>& figure) {
  if (!figure) return;
  out << YAML::Key << std::string(name) << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "value" << YAML::Value << number_text(figure->value);
  out << YAML::Key << "source" << YAML::Value << figure->source;
  if (figure->is_unverified) out << YAML::Key << "unverified" << YAML::Value << true;
  out << YAML::EndMap;
}

void write_terms(YAML::Emitter& out, const ProfileTerms& terms) {
  if (terms == ProfileTerms{}) return;
  out << YAML::Key << "terms" << YAML::Value << YAML::BeginMap;
  write_figure(out, "depthwise_cost", terms.depthwise_cost);
  write_figure(out, "op_overhead_us", terms.op_overhead_us);
  write_figure(out, "floor_ms", terms.floor_ms);
  write_figure(out, "cache_kib", terms.cache_kib);
  write_figure(out, "cache_gbps", terms.cache_gbps);
  out << YAML::EndMap;
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

MacsPerByte Profile::ridge_point() const {
  if (effective_ridge_point) return {effective_ridge_point->value};
  return datasheet_ridge_point(data_type).value();
}

std::optional<MacsPerSecond> Profile::peak() const {
  if (effective_ridge_point) {
    if (!effective_peak_gmacs) return std::nullopt;
    return MacsPerSecond{effective_peak_gmacs->value * 1e9};
  }
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
  profile.name = reader.required<std::string>("name");
  reader.optional("description", profile.description);
  profile.data_type =
      read_data_type(reader.child("data_type"), reader.required<std::string>("data_type"));
  if (reader.has("peak_gmacs")) {
    FieldReader peaks(reader.child("peak_gmacs"));
    for (DataType type : kDataTypes) {
      const std::string name(to_string(type));
      if (peaks.has(name)) profile.peak_gmacs[type] = read_figure(peaks.child(name), name, 1e-6);
    }
    peaks.finish();
  }
  read_figure(reader, "bandwidth_gbps", 1e-6, profile.bandwidth_gbps);
  read_figure(reader, "ridge_point", 0, profile.given_ridge_point);
  if (reader.has("effective")) read_effective(reader.child("effective"), profile);
  if (reader.has("terms")) read_terms(reader.child("terms"), profile.terms);
  reader.optional("machine", profile.machine);
  reader.optional("threads", profile.threads);
  if (profile.threads < 0 || profile.threads > 4096) {
    reader.child("threads").fail("'threads' must be from 0 to 4096");
  }
  read_figure(reader, "probe_ms", 1e-9, profile.probe_ms);
  if (reader.has("working_sets")) {
    const YamlSource sets = reader.child("working_sets");
    if (!sets.node.IsSequence()) sets.fail("'working_sets' must be a list");
    for (const YAML::Node& node : sets.node) {
      FieldReader set({node, sets.file});
      const double kib = read_plain(set, "kib", 1e-3);
      profile.working_sets.push_back({kib, read_figure(set.child("gbps"), "gbps", 1e-6)});
      set.finish();
    }
  }
  if (reader.has("ops")) read_laws(reader.child("ops"), profile);
  reader.finish();
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
  if (!profile.effective_ridge_point && !profile.datasheet_ridge_point(profile.data_type)) {
    reader.source().fail("no ridge point for " + std::string(to_string(profile.data_type)) +
                         "; give its peak_gmacs with bandwidth_gbps, or effective, or ridge_point");
  }
  return profile;
}

std::string to_yaml(const Profile& profile) {
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "name" << YAML::Value << profile.name;
  out << YAML::Key << "description" << YAML::Value << profile.description;
  out << YAML::Key << "data_type" << YAML::Value << std::string(to_string(profile.data_type));
  if (!profile.peak_gmacs.empty()) {
    out << YAML::Key << "peak_gmacs" << YAML::Value << YAML::BeginMap;
    for (const auto& [type, figure] : profile.peak_gmacs) {
      write_figure(out, to_string(type), figure);
    }
    out << YAML::EndMap;
  }
  write_figure(out, "bandwidth_gbps", profile.bandwidth_gbps);
  write_figure(out, "ridge_point", profile.given_ridge_point);
  if (profile.effective_ridge_point) {
    out << YAML::Key << "effective" << YAML::Value << YAML::BeginMap;
    write_figure(out, "ridge_point", profile.effective_ridge_point);
    write_figure(out, "peak_gmacs", profile.effective_peak_gmacs);
    out << YAML::EndMap;
  }
  write_terms(out, profile.terms);
  if (!profile.machine.empty()) {
    out << YAML::Key << "machine" << YAML::Value << profile.machine;
  }
  if (profile.threads > 0) out << YAML::Key << "threads" << YAML::Value << profile.threads;
  write_figure(out, "probe_ms", profile.probe_ms);
  if (!profile.working_sets.empty()) {
    out << YAML::Key << "working_sets" << YAML::Value << YAML::BeginSeq;
    for (const WorkingSet& set : profile.working_sets) {
      out << YAML::BeginMap << YAML::Key << "kib" << YAML::Value << number_text(set.kib);
      write_figure(out, "gbps", set.gbps);
      out << YAML::EndMap;
    }
    out << YAML::EndSeq;
  }
  write_laws(out, profile);
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace ridgewalk
