// SIGINT and SIGTERM: finish the step, write a checkpoint, leave.
#pragma once

#include <exception>

namespace ridgewalk {

// Thrown once the checkpoint of an interrupted run is written; the program exits 130.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted; --resume goes on"; }
};

void catch_interrupts();
bool interrupted();

}  // namespace ridgewalk
