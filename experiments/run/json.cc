#include "experiments/run/json.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <yaml-cpp/yaml.h>

namespace ridgewalk {
namespace {

void emit(YAML::Emitter& out, const Json& data) {
  const bool flat =
      std::none_of(data.begin(), data.end(), [](const Json& item) { return item.is_structured(); });
  if (data.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, value] : data.items()) {
      out << YAML::Key << key << YAML::Value;
      emit(out, value);
    }
    out << YAML::EndMap;
  } else if (data.is_array()) {
    if (flat) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const Json& value : data) emit(out, value);
    out << YAML::EndSeq;
  } else if (data.is_string()) {
    const auto& text = data.get_ref<const std::string&>();
    if (text.find('\n') != std::string::npos) out << YAML::Literal;
    out << text;
  } else if (data.is_null()) {
    out << YAML::Null;
  } else {
    out << data.dump();
  }
}

}  // namespace

std::string json_text(const Json& json) {
  return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

std::string yaml_text(const Json& data) {
  YAML::Emitter out;
  emit(out, data);
  return std::string(out.c_str()) + "\n";
}

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

double number_or_nan(const Json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

}  // namespace ridgewalk
