// JSON of results and reports, and the same as YAML. Keys keep their order.
#pragma once

#include <optional>
#include <string>

#include "space/json.h"

namespace ridgewalk {

using Json = nlohmann::ordered_json;

// Indented by one; bytes that are not UTF-8 become U+FFFD.
std::string json_text(const Json& json);
// Readable YAML of plain data.
std::string yaml_text(const Json& data);

// JSON has no NaN and no infinity: they become null, and null becomes NaN.
Json number_or_null(double value);
double number_or_nan(const Json& value);

template <class T>
Json value_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}
template <class T>
std::optional<T> value_or_nothing(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(json.get<T>());
}

}  // namespace ridgewalk
