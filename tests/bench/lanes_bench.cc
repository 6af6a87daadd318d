// What lanes are worth: a search step (four samples of 64 images, then their accuracy) on one core
// and on two, alone and beside busy processes. All cases take turns, so that what else the machine
// does meets them alike; medians and ratios are printed.
//
//   build/dev/tests/ridgewalk_lanes_bench [ROUNDS]
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "experiments/run/supernet_weights.h"
#include "search/tunas.h"
#include "space/catalog.h"
#include "supernet/network/memory.h"
#include "supernet/training/lanes.h"
#include "tests/bench/random_images.h"

namespace ridgewalk {
namespace {

constexpr int kSamples = 4, kBatch = 64, kStepsPerTurn = 4;

// A search whose controller learns, with shared weights that train in so many lanes.
struct Search {
  Search(const SearchSpace& space, const Dataset& data, int lanes)
      : net(space, data,
            {.steps = 1 << 20,
             .batch_size = kBatch,
             .validation_batch_size = 250,
             .optimizer = {.learning_rate = 1e-4},
             .augmentation = {}},
            {.precision = precision_named("auto", torch::kCPU), .lanes = lanes}),
        weights(net),
        tunas(space, {.targets = {{"target", {{31.2}}, {Macs{1.2e7}}}}},
              {.steps = 1 << 20,
               .samples_per_step = kSamples,
               .controller_delay = 0,
               .operation_warmup = 0,
               .filter_warmup = 0}) {}

  Supernet net;
  SupernetWeights weights;
  TunasSearch tunas;
};

// Processes that do nothing but keep a core each busy.
class Neighbours {
 public:
  explicit Neighbours(int count) {
    for (int i = 0; i < count; ++i) {
      const pid_t child = fork();
      if (child == 0) {
        for (volatile bool busy = true; busy;) {
        }
      }
      children_.push_back(child);
    }
  }
  ~Neighbours() {
    for (const pid_t child : children_) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
  }
  Neighbours(const Neighbours&) = delete;
  Neighbours& operator=(const Neighbours&) = delete;

 private:
  std::vector<pid_t> children_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Of a step, the mean over a turn.
struct Turn {
  double seconds = 0;
  double cpu_seconds = 0;  // of all lanes: beside it, waiting and moving of memory show
};

double cpu_seconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return double(time.tv_sec) + 1e-6 * double(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

Turn turn(Search& search) {
  const auto start = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds();
  for (int step = 0; step < kStepsPerTurn; ++step) search.tunas.advance(search.weights);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return {seconds.count() / kStepsPerTurn, (cpu_seconds() - cpu) / kStepsPerTurn};
}

void run(int rounds) {
  set_threads(1);
  const SearchSpace space = load_search_space("fashion-mnist");
  const Dataset data = random_images();
  struct Case {
    const char* name;
    int lanes, neighbours;
    std::vector<double> seconds = {}, cpu_seconds = {};
    // Searches of equal seeds sample the same architectures in all cases.
    std::unique_ptr<Search> search = {};
  };
  std::vector<Case> cases(5);
  cases[0] = {"1 lane, idle", 1, 0};
  cases[1] = {"2 lanes, idle", 2, 0};
  cases[2] = {"2 lanes, 1 busy process", 2, 1};
  cases[3] = {"2 lanes, 2 busy processes", 2, 2};
  cases[4] = {"1 lane, 1 busy process", 1, 1};
  for (Case& one : cases) {
    one.search = std::make_unique<Search>(space, data, one.lanes);
    turn(*one.search);
  }
  for (int round = 0; round < rounds; ++round) {
    for (Case& one : cases) {
      const Neighbours neighbours(one.neighbours);
      const Turn measured = turn(*one.search);
      one.seconds.push_back(measured.seconds);
      one.cpu_seconds.push_back(measured.cpu_seconds);
    }
  }
  const double slow = median(cases[0].seconds), idle = median(cases[1].seconds);
  std::printf("a search step of the space fashion-mnist, %d samples of %d images, %d rounds\n",
              kSamples, kBatch, rounds);
  for (const Case& one : cases) {
    const auto [least, most] = std::minmax_element(one.seconds.begin(), one.seconds.end());
    std::printf("%-26s median %6.1f ms, from %6.1f to %6.1f\n", one.name, 1e3 * median(one.seconds),
                1e3 * *least, 1e3 * *most);
  }
  const auto beside = [&](size_t i) { return median(cases[i].seconds) / idle; };
  std::printf("2 lanes are %.2f times as fast as 1 (goal: at least 1.85)\n", slow / idle);
  std::printf("beside 1 busy process %.2f times as slow as idle (goal: at most 1.7)\n", beside(2));
  std::printf("beside 2 busy processes %.2f times as slow as idle (goal: at most 2.6)\n",
              beside(3));
}

}  // namespace
}  // namespace ridgewalk

int main(int argc, char** argv) {
  ridgewalk::keep_freed_memory();  // as the program does
  ridgewalk::run(argc > 1 ? std::max(1, std::atoi(argv[1])) : 15);
}
