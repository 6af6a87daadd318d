// Names of parameterised tests.
#pragma once

#include <algorithm>
#include <cctype>
#include <string>

namespace ridgewalk {

// "mnv4-conv-small" as GoogleTest takes it: mnv4_conv_small.
inline std::string test_name(std::string name) {
  const auto is_other = [](unsigned char c) { return !std::isalnum(c); };
  std::replace_if(name.begin(), name.end(), is_other, '_');
  return name;
}

}  // namespace ridgewalk
