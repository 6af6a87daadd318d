#include "experiments/run/interrupt.h"

#include <csignal>

namespace ridgewalk {
namespace {
volatile std::sig_atomic_t signal_seen = 0;
}

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int) { signal_seen = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // a second signal ends the program at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return signal_seen != 0; }

}  // namespace ridgewalk
