#include "supernet/training/lanes.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

#include <ATen/Parallel.h>

#include "supernet/network/shared_loop.h"

namespace ridgewalk {
namespace {

#ifdef __linux__
int current_core() { return sched_getcpu(); }

// Moves this thread to any other core that it may use; from there it may move on. While other
// programs keep all cores busy, Linux starts a thread on the core of its creator and sees no reason
// to move it: one core would have two lanes, and the other one none.
void leave_core(int core) {
  cpu_set_t allowed;
  if (core < 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t others = allowed;
  CPU_CLR(core, &others);
  if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others) != 0) return;
  sched_setaffinity(0, sizeof allowed, &allowed);
}
#else
int current_core() { return -1; }
void leave_core(int) {}
#endif

// Those without a piece can help only where pieces compute with one thread.
int64_t useful_lanes(int64_t lanes, int64_t count) {
  return std::max<int64_t>(1, at::get_num_threads() > 1 ? std::min(lanes, count) : lanes);
}

}  // namespace

void in_lanes(int lanes, int64_t count, const std::function<void(int64_t)>& work,
              std::stop_source stop) {
  if (count <= 0) return;
  std::atomic<int64_t> next = 0, busy = useful_lanes(lanes, count);
  std::exception_ptr error;
  std::once_flag first;
  const auto lane = [&] {
    for (int64_t piece = next++; piece < count && !stop.stop_requested(); piece = next++) {
      try {
        work(piece);
      } catch (...) {
        std::call_once(first, [&] { error = std::current_exception(); });
        stop.request_stop();
      }
    }
    if (--busy == 0) wake_helpers();
    help_with_loops([&] { return busy == 0; });
  };
  {
    std::vector<std::jthread> others;  // joined at the end of this block
    const int64_t all = busy;
    try {
      while (std::ssize(others) + 1 < all) {
        others.emplace_back([&lane, core = current_core()] {
          leave_core(core);
          lane();
        });
      }
    } catch (const std::system_error&) {  // no more threads are to be had: fewer lanes do the same
      busy -= all - 1 - std::ssize(others);
    }
    lane();
  }
  if (error) std::rethrow_exception(error);
}

void set_threads(int threads) {
  at::set_num_threads(threads);
  // Debian's LibTorch is linked with whichever BLAS is installed. OpenBLAS has threads of its own,
  // as many as there are cores, and one such team for the whole process.
  using SetThreads = void (*)(int);
  static const auto set_openblas =
      reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  if (set_openblas != nullptr) set_openblas(threads);
}

}  // namespace ridgewalk
