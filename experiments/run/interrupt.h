// SIGINT, SIGTERM and SIGHUP: finish the step, write a checkpoint, leave.
#pragma once

#include <exception>

namespace ridgewalk {

// Thrown after the checkpoint of an interrupted run is written; the program exits 130.
class Interrupted : public std::exception {
 public:
  // `what` must outlive it.
  explicit Interrupted(const char* what = "interrupted; --resume continues the run")
      : what_(what) {}
  const char* what() const noexcept override { return what_; }

 private:
  const char* what_;
};

void catch_interrupts();
bool interrupted();

}  // namespace ridgewalk
