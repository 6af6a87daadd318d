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
  const Sourced figure{.value = reader.required<double>("value"),
                       .source = reader.required<std::string>("source")};
  reader.finish();
  if (!(figure.value >= lowest && std::isfinite(figure.value))) {
    reader.child("value").fail("'" + name + "' must be a finite number, at least " +
                               number_text(lowest));
  }
  if (figure.source.empty()) {
    reader.child("source").fail("'" + name + "' needs the source of its value");
  }
  return figure;
}

void read_figure(FieldReader& reader, const std::string& name, double lowest,
                 std::optional<Sourced>& figure) {
  if (reader.has(name)) figure = read_figure(reader.child(name), name, lowest);
}

void write_figure(YAML::Emitter& out, const char* name, const std::optional<Sourced>& figure) {
  if (!figure) return;
  out << YAML::Key << name << YAML::Value << YAML::BeginMap << YAML::Key << "value" << YAML::Value
      << number_text(figure->value) << YAML::Key << "source" << YAML::Value << figure->source
      << YAML::EndMap;
}

DataType read_data_type(FieldReader& reader) {
  const auto name = reader.required<std::string>("data_type");
  const auto type = data_type_named(name);
  if (!type) {
    reader.child("data_type")
        .fail("no data type is named '" + name + "'; there are int8, bf16, fp16, fp32");
  }
  return *type;
}

}  // namespace

MacsPerByte Profile::ridge_point() const {
  return {(effective_ridge_point ? effective_ridge_point : datasheet_ridge_point)->value};
}

std::vector<std::string> built_in_profiles() { return names(embedded_profiles()); }

Profile load_profile(const std::string& name_or_path) {
  if (const auto text = find(embedded_profiles(), name_or_path)) {
    return profile_from_yaml(std::string(*text), name_or_path);
  }
  if (std::filesystem::exists(name_or_path)) {
    return profile_from_yaml(read_file(name_or_path), name_or_path);
  }
  std::string known;
  for (const std::string& name : built_in_profiles()) known += " " + name;
  throw Error(name_or_path, 0, "neither a file nor a built-in profile; known names:" + known);
}

Profile profile_from_yaml(const std::string& text, const std::string& file) {
  FieldReader reader(parse_yaml(text, file));
  Profile profile;
  profile.name = reader.required<std::string>("name");
  reader.optional("description", profile.description);
  profile.data_type = read_data_type(reader);
  read_figure(reader, "effective_ridge_point", 0, profile.effective_ridge_point);
  read_figure(reader, "datasheet_ridge_point", 0, profile.datasheet_ridge_point);
  read_figure(reader, "peak_gmacs", 1e-6, profile.peak_gmacs);
  reader.finish();
  if (!profile.effective_ridge_point && !profile.datasheet_ridge_point) {
    reader.source().fail("no ridge point; give effective_ridge_point or datasheet_ridge_point");
  }
  return profile;
}

std::string to_yaml(const Profile& profile) {
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "name" << YAML::Value << profile.name;
  out << YAML::Key << "description" << YAML::Value << profile.description;
  out << YAML::Key << "data_type" << YAML::Value << std::string(to_string(profile.data_type));
  write_figure(out, "effective_ridge_point", profile.effective_ridge_point);
  write_figure(out, "datasheet_ridge_point", profile.datasheet_ridge_point);
  write_figure(out, "peak_gmacs", profile.peak_gmacs);
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace ridgewalk
