#include "experiments/run/config_files.h"

#include <algorithm>
#include <filesystem>

#include "roofline/measurements.h"
#include "space/catalog.h"

namespace ridgewalk {
namespace {

bool is_one_of(const std::string& name, const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

template <class Find, class Parse, class IsBuiltIn>
auto read_named(FieldReader& reader, const char* key, Find find, Parse parse,
                IsBuiltIn is_built_in) {
  YamlSource source = reader.child(key);
  if (source.node.IsMap()) {
    return at_line(source, [&] { return parse(YAML::Dump(source.node), key); });
  }
  const std::string name = network_beside(source.file, yaml_value<std::string>(source, key));
  const auto value = at_line(source, [&] { return find(name); });
  if (!is_built_in(name) && path_exists(name)) {
    source.node = parse_yaml(to_yaml(value), name).node;  // in the configuration's own tree
  }
  return value;
}

// A value that begins with `kind`, a path behind it.
std::string read_behind(const std::string& kind, FieldReader& reader, const char* key) {
  YamlSource source = reader.child(key);
  const auto value = reader.required<std::string>(key);
  const std::filesystem::path path = value.substr(kind.size());
  const std::filesystem::path beside = std::filesystem::path(source.file).replace_filename(path);
  if (path.empty() || path.is_absolute() || !path_exists(beside.string())) return value;
  source.node = kind + beside.string();
  return kind + beside.string();
}

}  // namespace

Architecture read_architecture(FieldReader& reader, const char* key) {
  const auto found =
      read_named(reader, key, find_architecture, architecture_from_yaml, is_in_catalog);
  at_line(reader.child(key), [&] { require_classifier(found); });
  return found;
}

SearchSpace read_space(FieldReader& reader, const char* key) {
  return read_named(reader, key, load_search_space, search_space_from_yaml,
                    [](const std::string& name) { return is_one_of(name, built_in_spaces()); });
}

Profile read_profile(FieldReader& reader, const char* key) {
  return read_named(reader, key, load_profile, profile_from_yaml,
                    [](const std::string& name) { return is_one_of(name, built_in_profiles()); });
}

std::string read_path(FieldReader& reader, const char* key) { return read_behind("", reader, key); }

std::string read_dataset(FieldReader& reader, const char* key) {
  const auto spec = reader.required<std::string>(key);
  const size_t colon = spec.find(':');
  return colon == std::string::npos ? spec : read_behind(spec.substr(0, colon + 1), reader, key);
}

}  // namespace ridgewalk
