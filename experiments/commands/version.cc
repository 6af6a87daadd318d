#include <fmt/format.h>

#include "experiments/commands/commands.h"
#include "experiments/machine/resources.h"
#include "experiments/run/environment.h"

namespace ridgewalk {

void print_version() {
  for (const auto& [name, value] : environment(usable_cores())) {
    fmt::print("{:<12} {}\n", name, value);
  }
}

}  // namespace ridgewalk
