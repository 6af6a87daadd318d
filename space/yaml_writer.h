// Writing YAML from the field lists that it is read by (space/yaml.h). Not installed.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "space/yaml.h"

namespace ridgewalk {

// Writes the keys of one mapping, in the order in which fields() names them. An empty optional is
// left out. Ranges are for the reader.
class FieldWriter {
 public:
  explicit FieldWriter(YAML::Emitter& out) : out_(out) {}

  template <class T>
  void required(std::string_view name, const T& value, Range = {}) {
    if constexpr (kIsOptional<T>) {
      if (value) required(name, *value);
    } else {
      out_ << YAML::Key << std::string(name) << YAML::Value;
      write(value);
    }
  }
  template <class T>
  void optional(std::string_view name, const T& value, Range = {}) {
    required(name, value);
  }
  template <class T>
  void omittable(std::string_view name, const T& value,
                 const std::type_identity_t<T>& default_value = {}, Range = {}) {
    if (value != default_value) required(name, value);
  }

  bool has_part(std::string_view, bool is_written) { return is_written; }
  template <class List>
  void part(std::string_view name, List list) {
    out_ << YAML::Key << std::string(name) << YAML::Value << YAML::BeginMap;
    list(*this);
    out_ << YAML::EndMap;
  }
  template <class List>
  void one_line_part(std::string_view name, List list) {
    out_ << YAML::Key << std::string(name) << YAML::Value << YAML::Flow << YAML::BeginMap;
    list(*this);
    out_ << YAML::EndMap;
  }

  // For what is not written by its fields.
  YAML::Emitter& out() { return out_; }

 private:
  template <class T>
  void write(const T& value) {
    if constexpr (kIsVector<T>) {
      out_ << YAML::Flow << YAML::BeginSeq;
      for (const auto& item : value) write(item);
      out_ << YAML::EndSeq;
    } else if constexpr (Named<T>) {
      out_ << std::string(to_string(value));
    } else if constexpr (std::is_floating_point_v<T>) {
      out_ << number_text(value);
    } else if constexpr (kIsStruct<T>) {
      out_ << YAML::Flow << YAML::BeginMap;
      fields(*this, value);
      out_ << YAML::EndMap;
    } else {
      out_ << value;
    }
  }

  YAML::Emitter& out_;
};

// A document: the fields of `value`, one a line.
template <class T>
std::string yaml_document(const T& value) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  FieldWriter writer(out);
  fields(writer, value);
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace ridgewalk
