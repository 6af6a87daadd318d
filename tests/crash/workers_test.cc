// Several processes share out the trainings of one command (--workers). Any of them is killed,
// interrupted and refused writes, and may be started again: the results are those of one process
// that nothing disturbed, bit for bit.
//
//   RIDGEWALK_CRASHES, RIDGEWALK_CRASH_SEED   as in crash_test.cc; `all` is 100 of each kind
#include <algorithm>
#include <random>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/crash/jobs.h"

namespace ridgewalk {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

class Workers : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string seed =
        setting("RIDGEWALK_CRASH_SEED", std::to_string(std::random_device()() % 1000000));
    random_.seed(std::stoul(seed));
    static std::map<std::string, Alone> known;
    if (!known.contains(GetParam())) known[GetParam()] = alone(workplace().job(GetParam()));
    alone_ = known[GetParam()];
    printf("RIDGEWALK_CRASH_SEED=%s; %s: %.2f s alone, %zu files\n", seed.c_str(),
           alone_.job.name.c_str(), alone_.seconds, alone_.results.size());
  }

  // What a process does that has the work to itself, without --workers.
  struct Alone {
    Job job;
    double seconds = 0;
    std::map<std::string, std::string> results;
  };

  static Workplace& workplace() {
    static Workplace place(RIDGEWALK_PROGRAM);
    return place;
  }

  static Alone alone(const Job& job) {
    workplace().clear(job);
    const double start = seconds_now();
    const Ending ending = workplace().start(job, {}).wait();
    EXPECT_EQ(ending.exit_code, 0) << ending.err;
    return {job, seconds_now() - start, workplace().results()};
  }

  static int crashes() {
    const std::string text = setting("RIDGEWALK_CRASHES", "10");
    return text == "all" ? 100 : (std::stoi(text) + 1) / 2;
  }

  int below(int count) { return std::uniform_int_distribution<int>(0, count - 1)(random_); }
  double moment() { return std::uniform_real_distribution<double>(0, alone_.seconds)(random_); }

  std::unique_ptr<Process> start(int number, const Words& environment = {}) const {
    return workplace().start_worker(alone_.job, number, environment);
  }

  // Starts as many as there are.
  std::vector<std::unique_ptr<Process>> start_all(int count) const {
    std::vector<std::unique_ptr<Process>> all;
    for (int i = 0; i < count; ++i) all.push_back(start(i));
    return all;
  }

  static void expect_success(Process& process) {
    const Ending ending = process.wait();
    EXPECT_EQ(ending.exit_code, 0) << "signal " << ending.signal << ": " << ending.err;
  }

  void expect_results() const { expect_same(workplace().results(), alone_.results); }

  const Job& job() const { return alone_.job; }

  // Sends a signal to one of them at a random moment, and starts it again. Returns how it ended;
  // exit code 0 is that it was faster.
  Ending disturb(std::vector<std::unique_ptr<Process>>& workers, int signal, std::string& history) {
    const double after = moment() / 2;
    const int victim = below(int(workers.size()));
    history += "\n  signal " + std::to_string(signal) + " to worker " + std::to_string(victim) +
               " after " + std::to_string(after) + " s";
    sleep_for(after);
    workers[size_t(victim)]->send(signal);
    const Ending ending = workers[size_t(victim)]->wait();
    workers[size_t(victim)] = start(victim);
    return ending;
  }

 private:
  Alone alone_;
  std::mt19937_64 random_;
};

TEST_P(Workers, GiveWhatOneProcessGives) {
  for (const int count : {1, 2, 3}) {
    const testing::ScopedTrace trace(__FILE__, __LINE__, std::to_string(count) + " workers");
    workplace().clear(job());
    for (const auto& worker : start_all(count)) expect_success(*worker);
    expect_results();
  }
  // Given again, the command has nothing to do and gives the same.
  expect_success(*start(0));
  expect_results();
}

TEST_P(Workers, KilledAtAnyMoment) {
  for (int killed = 0; killed < crashes() && !HasFailure();) {
    workplace().clear(job());
    std::string history;
    auto workers = start_all(2 + below(2));
    for (int i = 0; i < 4; ++i) {
      if (disturb(workers, SIGKILL, history).signal == SIGKILL) ++killed;
    }
    const testing::ScopedTrace trace(__FILE__, __LINE__, job().name + ":" + history);
    for (const auto& worker : workers) expect_success(*worker);
    expect_results();
  }
}

TEST_P(Workers, InterruptedAtAnyMoment) {
  for (int stopped = 0; stopped < crashes() && !HasFailure();) {
    workplace().clear(job());
    std::string history;
    auto workers = start_all(2);
    for (int i = 0; i < 4; ++i) {
      const Ending ending = disturb(workers, below(2) == 0 ? SIGTERM : SIGINT, history);
      // A signal may come before the program has begun.
      if (ending.exit_code == 0 || ending.signal != 0) continue;
      ++stopped;
      EXPECT_EQ(ending.exit_code, 130) << ending.err << history;
      EXPECT_THAT(ending.err, testing::StartsWith("ridgewalk: interrupted"));
      EXPECT_EQ(std::count(ending.err.begin(), ending.err.end(), '\n'), 1) << ending.err;
    }
    const testing::ScopedTrace trace(__FILE__, __LINE__, job().name + ":" + history);
    for (const auto& worker : workers) expect_success(*worker);
    expect_results();
  }
}

// As a machine that sleeps, for longer than the lease: whether it led or not, nobody fails.
TEST_P(Workers, StoppedForAWhile) {
  for (int i = 0; i < std::min(crashes(), 3) && !HasFailure(); ++i) {
    workplace().clear(job());
    auto workers = start_all(2);
    const int victim = below(2);
    const double after = moment() / 2;
    const testing::ScopedTrace trace(
        __FILE__, __LINE__,
        job().name + ": worker " + std::to_string(victim) + " after " + std::to_string(after));
    sleep_for(after);
    workers[size_t(victim)]->send(SIGSTOP);
    sleep_for(3 * kLease);
    workers[size_t(victim)]->send(SIGCONT);
    for (const auto& worker : workers) expect_success(*worker);
    expect_results();
  }
}

// A full or a broken disk, or a kill, at any call that writes, of a worker beside another.
TEST_P(Workers, RefusedWritesAndKilledAtThem) {
  const std::vector<std::string> kinds{"full", "error", "before", "after"};
  for (int faults = 0; faults < crashes() && !HasFailure();) {
    workplace().clear(job());
    const std::string kind = kinds[size_t(below(4))];
    const std::string fault = kind + ":" + std::to_string(1 + below(250));
    const testing::ScopedTrace trace(__FILE__, __LINE__, job().name + ": " + fault);
    const auto first =
        start(0, {"LD_PRELOAD=" RIDGEWALK_WRITE_FAULTS, "RIDGEWALK_WRITE_FAULT=" + fault});
    const auto second = start(1);
    const Ending ending = first->wait();
    expect_success(*second);
    if (kind == "before" || kind == "after") {
      if (ending.exit_code != 0) {
        ++faults;
        EXPECT_EQ(ending.signal, SIGKILL) << ending.err;
      }
    } else if (ending.exit_code != 0) {
      ++faults;
      EXPECT_EQ(ending.exit_code, 1) << ending.err;
      EXPECT_EQ(std::count(ending.err.begin(), ending.err.end(), '\n'), 1) << ending.err;
      EXPECT_THAT(ending.err,
                  AnyOf(HasSubstr("No space left on device"), HasSubstr("Input/output error")));
    }
    // The second may have ended while the first still led.
    expect_success(*start(2));
    expect_results();
  }
}

const auto kShared = testing::Values("rank", "compare");
INSTANTIATE_TEST_SUITE_P(All, Workers, kShared,
                         [](const testing::TestParamInfo<std::string>& job) { return job.param; });

}  // namespace
}  // namespace ridgewalk
