// Published networks by name.
#pragma once

#include <string>
#include <vector>

#include "space/architecture.h"

namespace ridgewalk {

// "mnv4-conv-small", ... (space/catalog/*.yaml).
std::vector<std::string> catalog_names();

// A catalogue name, a name with a width multiplier ("mnv4-conv-small@0.5"), or a YAML file. Throws
// Error listing the names that exist.
Architecture find_architecture(const std::string& name_or_path);

}  // namespace ridgewalk
