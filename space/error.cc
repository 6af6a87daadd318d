#include "space/error.h"

namespace ridgewalk {

Error::Error(const std::string& file, int line, const std::string& message)
    : std::runtime_error(file + (line > 0 ? ":" + std::to_string(line) : "") + ": " + message) {}

}  // namespace ridgewalk
