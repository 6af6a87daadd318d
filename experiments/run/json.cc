#include "experiments/run/json.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>
#include <limits>
#include <string_view>

#include <yaml-cpp/yaml.h>

namespace ridgewalk {
namespace {

// Whether a YAML reader of any version would take the text for a number, a truth value or nothing.
bool looks_like_no_text(const std::string& text) {
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return char(std::tolower(c)); });
  constexpr std::string_view kWords[] = {"y",     "yes",  "on", "true", "n",    "no",    "off",
                                         "false", "null", "~",  ".nan", ".inf", "-.inf", ""};
  return std::count(std::begin(kWords), std::end(kWords), lower) > 0 ||
         (std::string_view("0123456789+-.").find(lower[0]) != std::string_view::npos &&
          lower.find_first_not_of("0123456789+-._:abcdefox") == std::string::npos);
}

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
    if (looks_like_no_text(text)) out << YAML::DoubleQuoted;
    out << text;
  } else if (data.is_null() || (data.is_number_float() && !std::isfinite(data.get<double>()))) {
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
