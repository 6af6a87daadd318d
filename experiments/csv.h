// Cells of CSV files (RFC 4180).
#pragma once

#include <string>

namespace ridgewalk {

inline std::string csv_quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string result = "\"";
  for (char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
  return result + '"';
}

}  // namespace ridgewalk
