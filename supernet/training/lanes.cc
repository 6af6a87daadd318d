#include "supernet/training/lanes.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>

namespace ridgewalk {

void in_lanes(int lanes, int64_t count, const std::function<void(int64_t)>& work,
              std::stop_source stop) {
  std::atomic<int64_t> next = 0;
  std::exception_ptr error;
  std::once_flag first;
  const auto lane = [&] {
    while (!stop.stop_requested()) {
      const int64_t piece = next++;
      if (piece >= count) return;
      try {
        work(piece);
      } catch (...) {
        std::call_once(first, [&] { error = std::current_exception(); });
        stop.request_stop();
      }
    }
  };
  {
    std::vector<std::jthread> others;  // joined at the end of this block
    for (int64_t i = 1; i < std::min<int64_t>(lanes, count); ++i) others.emplace_back(lane);
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
