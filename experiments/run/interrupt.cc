#include "experiments/run/interrupt.h"

#include <csignal>

namespace ridgewalk {
namespace {
volatile std::sig_atomic_t signal_seen = 0;
}

void catch_interrupts() {
  const auto handle = [](int number, int flags) {
    struct sigaction action = {};
    if (sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) return;  // nohup
    action = {};
    action.sa_handler = [](int) { signal_seen = 1; };
    action.sa_flags = flags | SA_RESTART;  // nothing is half done because of it
    sigaction(number, &action, nullptr);
  };
  constexpr auto kOnce = static_cast<int>(SA_RESETHAND);  // a second one ends the program at once
  handle(SIGINT, kOnce);
  handle(SIGTERM, kOnce);
  handle(SIGHUP, 0);  // of a terminal that closes the kernel and the shell may both send one
}

bool interrupted() { return signal_seen != 0; }

}  // namespace ridgewalk
