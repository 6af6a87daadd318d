// The exception for everything that a user can fix.
#pragma once

#include <stdexcept>
#include <string>

namespace ridgewalk {

// Bad input. what() is one line: "FILE:LINE: what is wrong; what to do". The program prints it and
// exits 2. Bugs of the program itself are assertions, never this.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
  Error(const std::string& file, int line, const std::string& message);
};

}  // namespace ridgewalk
