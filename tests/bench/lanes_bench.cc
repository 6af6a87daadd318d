// What lanes are worth: a search step (four samples of 64 images, then their accuracy) on one core
// and on two, alone and beside busy processes. Two processes that take such steps with one lane
// each, and share nothing, show what the machine has to give: cores share caches and memory. All
// cases take turns, so that what else the machine does meets them alike; medians and ratios are
// printed.
//
//   build/dev/tests/ridgewalk_lanes_bench [ROUNDS]
#include <signal.h>
#include <sys/prctl.h>
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

// Processes that do nothing but keep a core each busy, or rest. They start before this process has
// computed anything: a fork leaves its parent's pages to be copied one by one when it next writes
// them, which would count as their doing.
class Neighbours {
 public:
  explicit Neighbours(int count) {
    for (int i = 0; i < count; ++i) {
      const pid_t child = fork();
      if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (volatile bool busy = true; busy;) {
        }
      }
      children_.push_back(child);
    }
    set_busy(0);
  }
  ~Neighbours() {
    for (const pid_t child : children_) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
  }
  Neighbours(const Neighbours&) = delete;
  Neighbours& operator=(const Neighbours&) = delete;

  // So many of them, from now on.
  void set_busy(int count) {
    for (size_t i = 0; i < children_.size(); ++i) {
      kill(children_[i], i < size_t(count) ? SIGCONT : SIGSTOP);
    }
  }

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

// Another process that takes turns with one lane.
class Partner {
 public:
  // Before this process has computed anything: libraries do not survive a fork.
  Partner(const SearchSpace& space, const Dataset& data) {
    if (pipe(to_) != 0 || pipe(from_) != 0) std::exit(1);
    child_ = fork();
    if (child_ != 0) return;
    close(to_[1]);
    Search search(space, data, 1);
    char byte = 0;
    while (read(to_[0], &byte, 1) == 1) {
      turn(search);
      if (write(from_[1], &byte, 1) != 1) break;
    }
    _exit(0);
  }
  ~Partner() {
    close(to_[1]);
    waitpid(child_, nullptr, 0);
  }
  Partner(const Partner&) = delete;
  Partner& operator=(const Partner&) = delete;

  void begin() { exchange(write(to_[1], "", 1)); }
  void end() {
    char byte = 0;
    exchange(read(from_[0], &byte, 1));
  }

 private:
  static void exchange(ssize_t bytes) {
    if (bytes != 1) std::exit(1);
  }
  int to_[2] = {}, from_[2] = {};
  pid_t child_ = 0;
};

// Until both have ended.
Turn turn_of_two(Search& search, Partner& partner) {
  const auto start = std::chrono::steady_clock::now();
  partner.begin();
  const Turn own = turn(search);
  partner.end();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return {seconds.count() / kStepsPerTurn, own.cpu_seconds};
}

void run(int rounds) {
  Neighbours neighbours(2);
  set_threads(1);
  const SearchSpace space = load_search_space("fashion-mnist");
  const Dataset data = random_images();
  Partner partner(space, data);
  struct Case {
    const char* name;
    int lanes, neighbours;
    bool has_partner = false;
    std::vector<double> seconds = {}, cpu_seconds = {};
    // Searches of equal seeds sample the same architectures in all cases.
    std::unique_ptr<Search> search = {};
  };
  std::vector<Case> cases(6);
  cases[0] = {"1 lane, idle", 1, 0};
  cases[1] = {"2 lanes, idle", 2, 0};
  cases[2] = {"2 lanes, 1 busy process", 2, 1};
  cases[3] = {"2 lanes, 2 busy processes", 2, 2};
  cases[4] = {"1 lane, 1 busy process", 1, 1};
  cases[5] = {"1 lane in each of 2 processes", 1, 0, true};
  for (Case& one : cases) {
    one.search = std::make_unique<Search>(space, data, one.lanes);
    one.has_partner ? turn_of_two(*one.search, partner) : turn(*one.search);
  }
  for (int round = 0; round < rounds; ++round) {
    for (Case& one : cases) {
      neighbours.set_busy(one.neighbours);
      const Turn measured = one.has_partner ? turn_of_two(*one.search, partner) : turn(*one.search);
      one.seconds.push_back(measured.seconds);
      one.cpu_seconds.push_back(measured.cpu_seconds);
    }
  }
  const double slow = median(cases[0].seconds), idle = median(cases[1].seconds);
  std::printf("a search step of the space fashion-mnist, %d samples of %d images, %d rounds\n",
              kSamples, kBatch, rounds);
  std::printf("%-30s %9s %9s %9s %12s\n", "ms per step", "median", "least", "most", "CPU, median");
  for (const Case& one : cases) {
    const auto [least, most] = std::minmax_element(one.seconds.begin(), one.seconds.end());
    std::printf("%-30s %9.1f %9.1f %9.1f %12.1f\n", one.name, 1e3 * median(one.seconds),
                1e3 * *least, 1e3 * *most, 1e3 * median(one.cpu_seconds));
  }
  const auto beside = [&](size_t i) { return median(cases[i].seconds) / idle; };
  std::printf("2 lanes are %.2f times as fast as 1 (goal: at least 1.85); 2 processes %.2f times\n",
              slow / idle, 2 * slow / median(cases[5].seconds));
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
