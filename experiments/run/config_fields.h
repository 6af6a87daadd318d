// Errors of a configuration with their place.
#pragma once

#include "space/yaml.h"

namespace ridgewalk {

// Runs `make`, giving what it throws the place of `source`.
template <class Make>
auto at_line(const YamlSource& source, Make make) {
  try {
    return make();
  } catch (const Error& error) {
    source.fail(error.what());
  }
}

}  // namespace ridgewalk
