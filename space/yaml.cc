#include "space/yaml.h"

#include <charconv>

namespace ridgewalk {

YamlSource parse_yaml(const std::string& text, const std::string& file) {
  try {
    // Refuses to recurse deeper than 500 by itself.
    return {YAML::Load(text), file};
  } catch (const YAML::Exception& error) {
    throw Error(file, error.mark.line + 1, "not YAML: " + error.msg);
  }
}

std::string number_text(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace ridgewalk
