#include "space/catalog.h"

#include <cstdlib>
#include <filesystem>

#include "space/embedded.h"
#include "space/error.h"

namespace ridgewalk {

std::vector<std::string> catalog_names() { return names(embedded_catalog()); }

Architecture find_architecture(const std::string& name_or_path) {
  const size_t at = name_or_path.find('@');
  const std::string name = name_or_path.substr(0, at);
  if (const auto text = find(embedded_catalog(), name)) {
    Architecture architecture = architecture_from_yaml(std::string(*text), name);
    if (at == std::string::npos) return architecture;
    const char* multiplier = name_or_path.c_str() + at + 1;
    char* end = nullptr;
    const double value = std::strtod(multiplier, &end);
    if (end == multiplier || *end != '\0') {
      throw Error(name_or_path, 0, "the width multiplier after @ must be a number");
    }
    architecture = scale(architecture, value);
    architecture.name = name_or_path;
    return architecture;
  }
  if (std::filesystem::exists(name_or_path)) return load_architecture(name_or_path);
  std::string known;
  for (const std::string& entry : catalog_names()) known += " " + entry;
  throw Error(name_or_path, 0, "neither a file nor in the catalogue; known names:" + known);
}

}  // namespace ridgewalk
