// Numbers of things as they are printed.
#pragma once

#include <cstdint>
#include <string>

#include <fmt/format.h>

namespace ridgewalk {

// "1 job", "2 jobs".
inline std::string counted(int64_t number, const char* what) {
  return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

}  // namespace ridgewalk
