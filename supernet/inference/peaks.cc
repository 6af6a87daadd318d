#include "supernet/inference/peaks.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <numeric>
#include <vector>

#include <ATen/Parallel.h>
#include <torch/types.h>

#include "roofline/statistics.h"
#include "supernet/inference/module.h"
#include "supernet/network/precision.h"

namespace ridgewalk {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRepeats = 9;
constexpr double kSecondsPerRepeat = 0.05;

// Work per second over repeats of a few hundredths of a second each, after one that is not counted.
template <class Run>
MeasuredRate measured_rate(double work, Run run) {
  std::vector<double> rates;
  for (int repeat = 0; repeat <= kRepeats; ++repeat) {
    const Clock::time_point start = Clock::now();
    int runs = 0;
    double seconds = 0;
    while (seconds < kSecondsPerRepeat) {
      run();
      ++runs;
      seconds = std::chrono::duration<double>(Clock::now() - start).count();
    }
    if (repeat > 0) rates.push_back(work * runs / seconds);
  }
  return {.value = quantile(rates, 0.5), .spread = relative_spread(rates)};
}

constexpr int64_t kLine = 64;  // words that are read together

// Sums `count` words, a multiple of kLine, as fast as they can be read: with the widest vectors
// that the CPU has.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
uint64_t
sum_of(const uint64_t* words, size_t count) {
  uint64_t sums[kLine] = {};
  for (size_t i = 0; i < count; i += kLine) {
    for (size_t lane = 0; lane < kLine; ++lane) sums[lane] += words[i + lane];
  }
  uint64_t sum = 0;
  for (uint64_t lane : sums) sum += lane;
  return sum;
}

}  // namespace

std::optional<MeasuredRate> measure_peak_gmacs(DataType type, int threads) {
  // Other CPUs emulate it.
  if (type == DataType::kBf16 && precision_named("auto", torch::kCPU) != DataType::kBf16) {
    return std::nullopt;
  }
  at::set_num_threads(threads);
  std::optional<MeasuredRate> best;
  for (int64_t size : {256, 512, 1024, 2048}) {
    const std::function<void()> product = one_dnn().product(type, size);
    if (!product) continue;
    const MeasuredRate rate = measured_rate(1e-9 * double(size * size * size), product);
    if (!best || rate.value > best->value) best = rate;
  }
  return best;
}

MeasuredRate measure_bandwidth_gbps(Bytes size, int threads) {
  at::set_num_threads(threads);
  const int64_t lines = std::max<int64_t>(1, int64_t(size.value) / (8 * kLine) / threads);
  const int64_t part = lines * kLine;  // words per thread
  // Each thread is the first to touch its part, so that the part lies in the memory nearest to it.
  const at::Tensor buffer = at::empty({part * threads}, at::kLong);
  uint64_t* words = static_cast<uint64_t*>(buffer.data_ptr());
  const auto in_parallel = [&](const auto& run) {
    at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t thread = begin; thread < end; ++thread) run(thread, words + thread * part);
    });
  };
  in_parallel([&](int64_t, uint64_t* own) { std::fill_n(own, part, uint64_t{1}); });
  // Several passes over small sets, so that starting the threads does not count.
  const int passes = int(std::max<int64_t>(1, (int64_t{1} << 21) / (part * threads)));
  std::vector<uint64_t> sums(size_t(threads), 0);
  const MeasuredRate rate = measured_rate(8e-9 * double(part * threads) * passes, [&] {
    in_parallel([&](int64_t thread, const uint64_t* own) {
      for (int pass = 0; pass < passes; ++pass) sums[size_t(thread)] += sum_of(own, size_t(part));
    });
  });
  // The sums only keep the compiler from leaving out the reads.
  volatile uint64_t sink = std::accumulate(sums.begin(), sums.end(), uint64_t{0});
  (void)sink;
  return rate;
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

}  // namespace ridgewalk
