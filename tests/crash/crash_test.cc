// Every command that can be resumed is killed, interrupted and refused writes, then resumed until
// it ends: its results are those of a run that nothing disturbed, bit for bit.
//
//   RIDGEWALK_CRASHES=N    kills and write faults of each command (10); half as many signals
//   RIDGEWALK_CRASHES=all  100 at random moments, and all four faults at every call that writes
//   RIDGEWALK_CRASH_SEED=N of the random numbers; printed, so that a failure can be repeated
#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <sstream>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/crash/jobs.h"

namespace ridgewalk {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

// What happens to a run while it is under way.
struct Disturbance {
  std::string fault = {};  // KIND:N of write_faults.cc
  std::vector<int> signals = {};
  double after = 0;       // seconds to the first signal
  double pause = 0;       // seconds between signals
  bool is_first = false;  // of a run: `after` is counted from its first file, else from the start

  bool is_failed_write() const { return fault.starts_with("full") || fault.starts_with("error"); }
};

std::ostream& operator<<(std::ostream& stream, const Disturbance& disturbance) {
  if (!disturbance.fault.empty()) return stream << disturbance.fault;
  for (const int signal : disturbance.signals) stream << "signal " << signal << ' ';
  return stream << disturbance.after << " s after its "
                << (disturbance.is_first ? "first file, " : "resumption, ") << disturbance.pause
                << " s apart";
}

// A run that nothing disturbs.
struct Whole {
  double first_file = 0;  // seconds after which it had written its first file
  double seconds = 0;
  long writes = 0;  // calls that change files
  std::map<std::string, std::string> results;
};

class Crash : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    static std::map<std::string, std::pair<Job, Whole>> known;
    if (!known.contains(GetParam())) {
      const Job job = workplace().job(GetParam());
      known[GetParam()] = {job, run_whole(job)};
    }
    std::tie(job_, whole_) = known[GetParam()];
    const std::string seed =
        setting("RIDGEWALK_CRASH_SEED", std::to_string(std::random_device()() % 1000000));
    random_.seed(std::stoul(seed));
    printf("RIDGEWALK_CRASH_SEED=%s; %s: %.2f s, first file after %.2f s, %ld writes, %zu files\n",
           seed.c_str(), job_.name.c_str(), whole_.seconds, whole_.first_file, whole_.writes,
           whole_.results.size());
  }

  static Workplace& workplace() {
    static Workplace place(RIDGEWALK_PROGRAM);
    return place;
  }

  static bool is_exhaustive() { return setting("RIDGEWALK_CRASHES", "10") == "all"; }
  static int crashes() {
    return is_exhaustive() ? 100 : std::stoi(setting("RIDGEWALK_CRASHES", "10"));
  }
  // Of signals, and of each of the two kinds of faults at writes.
  static int half() { return is_exhaustive() ? crashes() : (crashes() + 1) / 2; }

  const Whole& whole() const { return whole_; }
  std::mt19937_64& random() { return random_; }
  double uniform(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random_);
  }
  template <class T>
  T one_of(const std::vector<T>& list) {
    return list[std::uniform_int_distribution<size_t>(0, list.size() - 1)(random_)];
  }
  // While the job writes.
  double moment() { return uniform(0, whole_.seconds - whole_.first_file); }

  // Starts or resumes the job, and disturbs it.
  Ending disturbed(const Disturbance& disturbance) const {
    Words environment;
    if (!disturbance.fault.empty()) {
      environment = {"LD_PRELOAD=" RIDGEWALK_WRITE_FAULTS,
                     "RIDGEWALK_WRITE_FAULT=" + disturbance.fault};
    }
    Process process = workplace().start(job_, environment);
    while (disturbance.is_first && !workplace().has_results() && !process.has_ended()) {
      sleep_for(0.001);
    }
    double pause = disturbance.after + (disturbance.is_first ? 0 : whole_.first_file);
    for (const int signal : disturbance.signals) {
      sleep_for(pause);
      if (process.has_ended()) break;
      process.send(signal);
      pause = disturbance.pause;
    }
    return process.wait();
  }

  // Disturbs one run up to `most` times, each time when it is resumed, then lets it end. Returns
  // how often it was stopped.
  int crash_and_resume(int most, const std::function<Disturbance()>& next) {
    workplace().clear(job_);
    std::string history;
    int stopped = 0;
    while (stopped < most && !HasFatalFailure()) {
      Disturbance disturbance = next();
      disturbance.is_first = stopped == 0;
      std::ostringstream text;
      text << disturbance;
      history += "\n  " + text.str();
      const testing::ScopedTrace trace(__FILE__, __LINE__, job_.name + ":" + history);
      const Ending ending = disturbed(disturbance);
      if (ending.exit_code == 0) break;  // it was faster
      ++stopped;
      expect_orderly(disturbance, ending);
    }
    const testing::ScopedTrace trace(__FILE__, __LINE__, job_.name + ":" + history);
    expect_ends_as_whole();
    return stopped;
  }

  // Until there were `enough` crashes, some in a run.
  void crash(int enough, const std::function<Disturbance()>& next) {
    constexpr int kMostInARun = 4;
    int runs = 0;
    for (int stopped = 0; stopped < enough && !HasFailure(); ++runs) {
      ASSERT_LT(runs, 10 * enough) << job_.name << " always ends before anything happens to it";
      stopped += crash_and_resume(kMostInARun, next);
    }
  }

 private:
  static Whole run_whole(const Job& job) {
    workplace().clear(job);
    const std::string count = workplace().path("count");
    const double start = seconds_now();
    Process process = workplace().start(
        job, {"LD_PRELOAD=" RIDGEWALK_WRITE_FAULTS, "RIDGEWALK_WRITE_COUNT=" + count});
    Whole whole;
    while (!workplace().has_results() && !process.has_ended()) sleep_for(0.001);
    whole.first_file = seconds_now() - start;
    const Ending ending = process.wait();
    EXPECT_EQ(ending.exit_code, 0) << ending.err;
    whole.seconds = seconds_now() - start;
    whole.writes = std::stol(read_text(count));
    whole.results = workplace().results();
    return whole;
  }

  static void expect_orderly(const Disturbance& disturbance, const Ending& ending) {
    if (disturbance.is_failed_write()) {
      EXPECT_EQ(ending.exit_code, 1) << ending.err;
      EXPECT_EQ(std::count(ending.err.begin(), ending.err.end(), '\n'), 1) << ending.err;
      EXPECT_THAT(ending.err, testing::StartsWith("ridgewalk: "));
      EXPECT_THAT(ending.err,
                  AnyOf(HasSubstr("No space left on device"), HasSubstr("Input/output error")));
      for (const auto& [name, text] : workplace().results()) {
        EXPECT_THAT(name, testing::Not(testing::EndsWith(".partial")));
      }
    } else if (!disturbance.fault.empty()) {
      EXPECT_EQ(ending.signal, SIGKILL) << ending.err;
    } else if (ending.exit_code == 130) {
      EXPECT_THAT(ending.err, testing::StartsWith("ridgewalk: interrupted"));
      EXPECT_EQ(std::count(ending.err.begin(), ending.err.end(), '\n'), 1) << ending.err;
    } else {
      // By the signal that cannot be caught, by the second of two, or before the program began.
      EXPECT_THAT(disturbance.signals, testing::Contains(ending.signal)) << ending.err;
      EXPECT_TRUE(disturbance.signals[0] == SIGKILL || disturbance.signals.size() > 1 ||
                  !disturbance.is_first)
          << "a signal that ended it without a checkpoint";
    }
  }

  void expect_ends_as_whole() const {
    const Ending ending = disturbed({});
    ASSERT_EQ(ending.exit_code, 0) << ending.err;
    expect_same(workplace().results(), whole_.results);
  }

  Job job_;
  Whole whole_;
  std::mt19937_64 random_;
};

TEST_P(Crash, KilledAtAnyMoment) {
  crash(crashes(), [&] { return Disturbance{.signals = {SIGKILL}, .after = moment()}; });
}

TEST_P(Crash, InterruptedAtAnyMoment) {
  crash(half(), [&] {
    Disturbance disturbance{.after = moment(), .pause = uniform(0, 0.05)};
    const int signals = one_of<int>({1, 1, 2});
    for (int i = 0; i < signals; ++i) {
      disturbance.signals.push_back(one_of<int>({SIGTERM, SIGINT, SIGHUP}));
    }
    return disturbance;
  });
}

class CrashAtWrites : public Crash {
 protected:
  void crash_at_writes(const std::vector<std::string>& kinds) {
    const long writes = whole().writes;
    if (!is_exhaustive()) {
      crash(half(), [&] {
        const long call = std::uniform_int_distribution<long>(1, writes)(random());
        return Disturbance{.fault = one_of(kinds) + ":" + std::to_string(call)};
      });
      return;
    }
    for (const std::string& kind : kinds) {
      for (long call = 1; call <= writes && !HasFailure(); ++call) {
        const Disturbance disturbance{.fault = kind + ":" + std::to_string(call)};
        EXPECT_EQ(crash_and_resume(1, [&] { return disturbance; }), 1) << disturbance;
      }
    }
  }
};

TEST_P(CrashAtWrites, Killed) { crash_at_writes({"before", "after"}); }
TEST_P(CrashAtWrites, Refused) { crash_at_writes({"full", "error"}); }

const auto kJobs = testing::Values("search", "train", "distill", "rank", "compare");
std::string job_name(const testing::TestParamInfo<std::string>& info) { return info.param; }
INSTANTIATE_TEST_SUITE_P(All, Crash, kJobs, job_name);
INSTANTIATE_TEST_SUITE_P(All, CrashAtWrites, kJobs, job_name);

}  // namespace
}  // namespace ridgewalk
