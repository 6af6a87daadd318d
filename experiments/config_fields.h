// Fields of a configuration with their ranges.
#pragma once

#include "space/yaml.h"

namespace ridgewalk {

// Reads a number and checks its range.
template <class T>
void bounded(FieldReader& reader, const char* name, T& value, double low, double high) {
  if (!reader.has(name)) return;
  const YamlSource source = reader.child(name);
  // A negative text would wrap around in an unsigned type.
  const auto number = yaml_value<double>(source, name);
  if (!(number >= low && number <= high)) {
    std::ostringstream message;
    message << "'" << name << "' is " << number << "; it must be from " << low << " to " << high;
    source.fail(message.str());
  }
  value = yaml_value<T>(source, name);
}

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
