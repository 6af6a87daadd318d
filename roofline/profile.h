// Hardware as the roofline sees it (roofline/profiles/*.yaml).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "roofline/cost.h"

namespace ridgewalk {

// A figure and where it comes from.
struct Sourced {
  double value = 0;
  std::string source;
  bool operator==(const Sourced&) const = default;
};

// At least one ridge point is there. The effective one was fitted to measured networks and is the
// one to predict with; the datasheet's follows from peak and bandwidth.
struct Profile {
  std::string name;
  std::string description;
  DataType data_type = DataType::kInt8;
  std::optional<Sourced> effective_ridge_point;  // MACs/byte
  std::optional<Sourced> datasheet_ridge_point;  // MACs/byte
  std::optional<Sourced> peak_gmacs;             // 1e9 MACs/s that go with the ridge point in use
  bool operator==(const Profile&) const = default;

  // The effective ridge point, the datasheet's where there is none.
  MacsPerByte ridge_point() const;
  bool ridge_point_is_effective() const { return effective_ridge_point.has_value(); }
};

std::vector<std::string> built_in_profiles();
// A built-in name or a YAML file. Throws Error on what is missing or wrong, with file and line.
Profile load_profile(const std::string& name_or_path);
Profile profile_from_yaml(const std::string& text, const std::string& file);
std::string to_yaml(const Profile& profile);

}  // namespace ridgewalk
