// Cells of CSV files (RFC 4180).
#pragma once

#include <string>

#include "space/json.h"

namespace ridgewalk {

inline std::string csv_quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string result = "\"";
  for (char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
  return result + '"';
}

// Objects of the same keys as rows under them; of a list its first value.
inline std::string csv_table(const nlohmann::ordered_json& rows) {
  std::string csv;
  const auto end_cell = [&](bool is_last) { csv += is_last ? '\n' : ','; };
  if (rows.empty()) return csv;
  size_t cell = 0;
  for (const auto& [name, value] : rows[0].items()) {
    csv += csv_quoted(name);
    end_cell(++cell == rows[0].size());
  }
  for (const auto& row : rows) {
    cell = 0;
    for (const auto& [name, value] : row.items()) {
      const auto& one = value.is_array() && !value.empty() ? value[0] : value;
      if (one.is_string()) csv += csv_quoted(one.template get<std::string>());
      if (one.is_number() || one.is_boolean()) csv += one.dump();
      end_cell(++cell == row.size());
    }
  }
  return csv;
}

}  // namespace ridgewalk
