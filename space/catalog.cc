#include "space/catalog.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "space/embedded.h"
#include "space/error.h"

namespace ridgewalk {
namespace {

constexpr std::array kPublishedMultiples = {
    "mnv4-conv-small-035",    "mnv4-conv-small-050", "mnv4-hybrid-medium-075",
    "mnv4-hybrid-large-075",  "mobilenet-v1-150",    "mobilenet-v2-050",
    "mobilenet-v2-150",       "mobilenet-v2-200",    "mobilenet-v3-large-050",
    "mobilenet-v3-large-150",
};

struct ScaledName {
  std::string base;
  double multiplier = 1;
};

// The parts of "NAME@1.5" or "NAME-150"; nothing for other names.
std::optional<ScaledName> scaled_name(const std::string& name) {
  if (const size_t at = name.find('@'); at != std::string::npos) {
    const char* multiplier = name.c_str() + at + 1;
    char* end = nullptr;
    const double value = std::strtod(multiplier, &end);
    if (end == multiplier || *end != '\0') {
      throw Error(name, 0, "the width multiplier after @ must be a number");
    }
    return ScaledName{name.substr(0, at), value};
  }
  const size_t dash = name.rfind('-');
  if (dash == std::string::npos || name.size() - dash != 4) return std::nullopt;
  const std::string hundredths = name.substr(dash + 1);
  if (!std::all_of(hundredths.begin(), hundredths.end(),
                   [](unsigned char c) { return std::isdigit(c) != 0; })) {
    return std::nullopt;
  }
  return ScaledName{name.substr(0, dash), std::stoi(hundredths) / 100.0};
}

std::optional<Architecture> in_catalog(const std::string& name) {
  const auto text = find(embedded_catalog(), name);
  if (!text) return std::nullopt;
  return architecture_from_yaml(std::string(*text), name);
}

}  // namespace

std::vector<std::string> catalog_names() {
  std::vector<std::string> list = names(embedded_catalog());
  list.insert(list.end(), kPublishedMultiples.begin(), kPublishedMultiples.end());
  std::sort(list.begin(), list.end());
  return list;
}

Architecture find_architecture(const std::string& name_or_path) {
  if (const auto found = in_catalog(name_or_path)) return *found;
  if (const auto scaled = scaled_name(name_or_path)) {
    if (const auto base = in_catalog(scaled->base)) {
      Architecture architecture = scale(*base, scaled->multiplier);
      architecture.name = name_or_path;
      return architecture;
    }
  }
  std::error_code unreadable;
  if (std::filesystem::exists(name_or_path, unreadable)) return load_architecture(name_or_path);
  std::string known;
  for (const std::string& entry : catalog_names()) known += " " + entry;
  throw Error(name_or_path, 0, "neither a file nor in the catalogue; known names:" + known);
}

}  // namespace ridgewalk
