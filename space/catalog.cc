#include "space/catalog.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "space/embedded.h"
#include "space/error.h"
#include "space/file.h"
#include "space/number.h"
#include "space/suggestion.h"
#include "space/timm_name.h"

namespace ridgewalk {
namespace {

constexpr std::array kPublishedMultiples = {
    "mnv4-conv-small-035",    "mnv4-conv-small-050", "mnv4-hybrid-medium-075",
    "mnv4-hybrid-large-075",  "mobilenet-v1-150",    "mobilenet-v2-050",
    "mobilenet-v2-150",       "mobilenet-v2-200",    "mobilenet-v3-large-050",
    "mobilenet-v3-large-150",
};

constexpr std::array kPublishedDetectors = {
    // MobileNetV4, table 7
    "mnv4-conv-medium-retinanet", "mnv4-hybrid-medium-retinanet",     "mobilenet-v1-150-retinanet",
    "mobilenet-v2-200-retinanet", "mobilenet-v3-large-200-retinanet",
};
constexpr std::string_view kDetector = "-retinanet";

struct ScaledName {
  std::string base;
  double multiplier = 1;
};

// The parts of "NAME@1.5" or "NAME-150"; nothing for other names.
std::optional<ScaledName> scaled_name(const std::string& name) {
  if (const size_t at = name.find('@'); at != std::string::npos) {
    const std::string multiplier = name.substr(at + 1);
    const std::optional<double> value = parse_real(multiplier);
    if (!value) {
      throw Error(name, 0, "the width multiplier after @: " + number_complaint(multiplier, false));
    }
    return ScaledName{name.substr(0, at), *value};
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

// Of any width.
std::optional<Architecture> scaled_in_catalog(const std::string& name) {
  if (const auto found = in_catalog(name)) return found;
  const auto scaled = scaled_name(name);
  if (!scaled) return std::nullopt;
  const auto base = in_catalog(scaled->base);
  if (!base) return std::nullopt;
  Architecture architecture = scale(*base, scaled->multiplier);
  architecture.name = name;
  return architecture;
}

std::optional<Architecture> detector_in_catalog(const std::string& name) {
  if (!name.ends_with(kDetector)) return std::nullopt;
  auto found = scaled_in_catalog(name.substr(0, name.size() - kDetector.size()));
  if (!found) return std::nullopt;
  found->name = name;
  found->resolution = 384;
  found->classes = 91;
  found->detector.emplace();
  return found;
}

std::optional<Architecture> in_timm(const std::string& name) {
  const std::optional<TimmName> timm = parse_timm_name(name);
  if (!timm) return std::nullopt;
  Architecture architecture = in_catalog(timm->base).value();
  if (timm->multiplier != 1) architecture = scale(architecture, timm->multiplier);
  architecture.resolution = timm->resolution.value_or(architecture.resolution);
  architecture.classes = timm->classes.value_or(architecture.classes);
  architecture.name = name.substr(name.rfind('/') + 1);  // npos + 1 is 0
  return architecture;
}

}  // namespace

std::vector<std::string> catalog_names() {
  std::vector<std::string> list = names(embedded_catalog());
  list.insert(list.end(), kPublishedMultiples.begin(), kPublishedMultiples.end());
  std::sort(list.begin(), list.end());
  return list;
}

std::vector<std::string> detector_names() {
  return {kPublishedDetectors.begin(), kPublishedDetectors.end()};
}

bool is_in_catalog(const std::string& name) {
  return scaled_in_catalog(name).has_value() || detector_in_catalog(name).has_value();
}

Architecture find_architecture(const std::string& name_or_path) {
  if (const auto found = scaled_in_catalog(name_or_path)) return *found;
  if (const auto found = detector_in_catalog(name_or_path)) return *found;
  if (path_exists(name_or_path)) return load_architecture(name_or_path);
  if (const auto timm = in_timm(name_or_path)) return *timm;
  std::vector<std::string> known = catalog_names();
  for (const std::string& name : timm_names()) known.push_back(name);
  for (const std::string& name : detector_names()) known.push_back(name);
  const std::string untagged = name_or_path.substr(0, name_or_path.find('.'));
  throw Error(name_or_path, 0,
              "neither a file nor in the catalogue; " + suggestion(untagged, known));
}

}  // namespace ridgewalk
