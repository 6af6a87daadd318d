#include "space/yaml.h"

namespace ridgewalk {

YamlSource parse_yaml(const std::string& text, const std::string& file) {
  try {
    // Refuses to recurse deeper than 500 by itself.
    return {YAML::Load(text), file};
  } catch (const YAML::Exception& error) {
    throw Error(file, error.mark.line + 1, "not YAML: " + error.msg);
  }
}

}  // namespace ridgewalk
