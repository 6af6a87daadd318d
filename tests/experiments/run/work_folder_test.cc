// Workers that share out trials: many at once, killed ones, ones that were only slow, and folders
// that are not what they left.
#include "experiments/run/work_folder.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "tests/experiments/run/work_folder_fixture.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST_F(Work, EachTrialGoesToOneOfManyWorkers) {
  constexpr int kWorkers = 8, kTrials = 60;
  std::vector<std::string> trials;
  for (int i = 0; i < kTrials; ++i) trials.push_back(fmt::format("network-{:03}.2", i));
  std::vector<std::map<std::string, int>> done(kWorkers);
  {
    std::vector<std::jthread> threads;
    for (int w = 0; w < kWorkers; ++w) {
      threads.emplace_back([&, w] {
        const auto own = worker(kLong, "same", trials);
        while (const auto taken = own->take()) {
          EXPECT_TRUE(fs::is_empty(taken->folder));
          leave(*taken, taken->name);
          ++done[size_t(w)][taken->name];
          own->publish(*taken);
        }
      });
    }
  }
  std::map<std::string, int> times;
  for (const auto& one : done) {
    for (const auto& [trial, count] : one) times[trial] += count;
  }
  EXPECT_EQ(times.size(), size_t(kTrials));
  for (const auto& [trial, count] : times) EXPECT_EQ(count, 1) << trial;
  const auto last = worker(kLong, "same", trials);
  EXPECT_TRUE(last->all_done());
  for (const std::string& trial : trials) EXPECT_EQ(read(last->results(trial) + "/left"), trial);
  // Of those that lost the race to prepare the folder nothing is left.
  for (const auto& entry : fs::directory_iterator(path("work"))) {
    EXPECT_EQ(entry.path().filename(), "trials");
  }
}

TEST_F(Work, WhatIsGivenBackIsTakenAtOnceWithWhatIsThere) {
  const auto first = worker(), second = worker();
  const auto taken = first->take();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->name, "a");
  leave(*taken, "half");
  EXPECT_EQ(second->take()->name, "b");
  first->give_back(*taken);
  EXPECT_FALSE(first->has(*taken));
  const auto again = second->take();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->name, "a");
  EXPECT_EQ(read(again->folder + "/left"), "half");
  EXPECT_FALSE(fs::exists(taken->folder));
}

TEST_F(Work, AWorkerThatEndsGivesBackWhatItHas) {
  {
    EXPECT_EQ(worker()->take()->name, "a");
  }
  EXPECT_EQ(worker()->take()->name, "a");
  EXPECT_TRUE(fs::is_empty(inside("workers")));
}

// By the second worker's clock; until then the trial is the first one's, however long it takes.
TEST_F(Work, ALiveWorkerKeepsItsTrialLongerThanALease) {
  const auto first = worker(kSafe, "same", {"a"}), second = worker(kSafe, "same", {"a"});
  const auto taken = first->take();
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(2 * kSafe);
  while (std::chrono::steady_clock::now() < end) {
    EXPECT_FALSE(second->take());
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(first->has(*taken));
  EXPECT_FALSE(taken->stop.stop_requested());
}

TEST_F(Work, TheTrialsOfAKilledWorkerAreTakenAgain) {
  const pid_t child = process([&] {
    const auto own = worker(kShort, "same", {"a"});
    leave(*own->take(), "half");
    raise(SIGKILL);
    return 0;
  });
  EXPECT_EQ(end_of(child), -SIGKILL);
  const auto second = worker(kShort, "same", {"a"});
  EXPECT_FALSE(second->take()) << "before it was watched for a lease";
  const auto taken = soon([&] { return second->take(); });
  ASSERT_TRUE(taken);
  EXPECT_EQ(read(taken->folder + "/left"), "half");
}

// Killed after it had renamed the ticket, and before it did anything else.
TEST_F(Work, ATicketWithoutWorkerOrFolderIsTakenAgain) {
  const auto first = worker(kShort, "same", {"a"});
  fs::rename(inside("a.0.free"), inside("a.1-0123456789abcdef.taken"));
  const auto taken = soon([&] { return first->take(); });
  ASSERT_TRUE(taken);
  EXPECT_TRUE(fs::is_empty(taken->folder));
}

TEST_F(Work, OnlyOneOfManyTakesALostTrial) {
  worker(kSafe, "same", {"a"});
  fs::rename(inside("a.0.free"), inside("a.1-0123456789abcdef.taken"));
  std::atomic<int> takers = 0;
  {
    std::vector<std::jthread> threads;
    for (int w = 0; w < 6; ++w) {
      threads.emplace_back([&] {
        const auto own = worker(kSafe, "same", {"a"});
        while (!own->all_done()) {
          if (const auto taken = own->take()) {
            ++takers;
            own->publish(*taken);
          }
        }
      });
    }
  }
  EXPECT_EQ(takers, 1);
}

// Stopped for longer than the lease, as a machine that sleeps: when it goes on, it neither
// publishes nor changes what the other has.
TEST_F(Work, ASlowWorkerThatWasRobbedDoesNoHarm) {
  const pid_t slow = process([&] {
    const auto own = worker(kShort, "same", {"a"});
    const auto taken = own->take();
    std::ofstream log(taken->folder + "/log");
    leave(*taken, "slow");
    raise(SIGSTOP);
    log << "late" << std::flush;
    if (own->has(*taken)) return 1;
    own->publish(*taken);
    return fs::exists(own->results("a")) ? 2 : 0;
  });
  int status = 0;
  waitpid(slow, &status, WUNTRACED);
  ASSERT_TRUE(WIFSTOPPED(status));
  const auto second = worker(kShort, "same", {"a"});
  const auto taken = soon([&] { return second->take(); });
  ASSERT_TRUE(taken);
  kill(slow, SIGCONT);
  EXPECT_EQ(end_of(slow), 0);
  EXPECT_TRUE(second->has(*taken));
  leave(*taken, "second");
  second->publish(*taken);
  EXPECT_EQ(read(second->results("a") + "/left"), "second");
}

// The robbed worker is told to stop.
TEST_F(Work, ARobbedWorkerLearnsOfIt) {
  const auto first = worker(kShort, "same", {"a"});
  const auto taken = first->take();
  fs::rename(taken->ticket, inside("a.2-0123456789abcdef.taken"));
  EXPECT_TRUE(soon([&] { return taken->stop.stop_requested(); }));
  EXPECT_FALSE(first->has(*taken));
}

// Two that do the same trial: the results of the faster one stay whole.
TEST_F(Work, PublishingTwiceKeepsTheFirst) {
  const auto first = worker(kLong, "same", {"a"});
  const auto taken = first->take();
  const auto second = worker(kLong, "same", {"a"});
  fs::rename(taken->ticket, inside("a.2.free"));  // as if its lease had run out
  const auto again = second->take();
  ASSERT_TRUE(again);
  EXPECT_NE(again->folder, taken->folder);
  leave(*again, "second");
  second->publish(*again);
  fs::create_directory(taken->folder);
  leave(*taken, "first");
  first->publish(*taken);
  EXPECT_EQ(read(first->results("a") + "/left"), "second");
  EXPECT_FALSE(fs::exists(taken->folder));
}

TEST_F(Work, ResultsThatAreRemovedAreMadeAgain) {
  {
    const auto first = worker(kShort, "same", {"a"});
    first->publish(*first->take());
    EXPECT_FALSE(first->take());
    fs::remove_all(first->results("a"));
  }
  const auto second = worker(kShort, "same", {"a"});
  EXPECT_FALSE(second->all_done());
  EXPECT_TRUE(soon([&] { return second->take(); }));
}

TEST_F(Work, WhatIsSettledIsWhatTheFirstProposed) {
  EXPECT_EQ(WorkFolder::settled(path("work"), "precision", [] { return "bf16"; }), "bf16");
  EXPECT_EQ(WorkFolder::settled(path("work"), "precision", [] { return "fp32"; }), "bf16");
  std::set<std::string> answers;
  std::mutex mutex;  // guards the answers
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        const auto own = [t] { return std::to_string(t); };
        const std::string answer = WorkFolder::settled(path("work"), "number", own);
        const std::lock_guard lock(mutex);
        answers.insert(answer);
      });
    }
  }
  EXPECT_EQ(answers.size(), 1u);
  EXPECT_EQ(std::distance(fs::directory_iterator(path("work")), {}), 2);
}

TEST_F(Work, ARemovedFolderIsNamed) {
  const auto own = worker();
  fs::remove_all(path("work"));
  EXPECT_THAT(error_of([&] { own->take(); }), HasSubstr("was removed; give the command again"));
  EXPECT_THAT(error_of([&] { own->leader(); }), HasSubstr("was removed; give the command again"));
}

TEST_F(Work, TheFolderOfAnotherCommandIsRefused) {
  EXPECT_EQ(WorkFolder::inputs_of(path("work")), "");
  worker();
  EXPECT_EQ(WorkFolder::inputs_of(path("work")), "seed: 1\n");
  EXPECT_THAT(error_of([&] { worker(kLong, "seed: 2\n"); }),
              AllOf(HasSubstr("another command"), HasSubstr("they have 'seed: 1'"),
                    HasSubstr("this has 'seed: 2'"), HasSubstr("another --workers")));
}

TEST_F(Work, DamageIsToldInOneLine) {
  worker();
  const auto refusal = [&] { return error_of([&] { worker(); }); };
  write("work/trials/inputs.txt", "seed");
  EXPECT_THAT(refusal(), HasSubstr("another --workers"));
  write("work/trials/inputs.txt", "");
  EXPECT_THAT(refusal(), HasSubstr("another --workers"));
  fs::remove(inside("inputs.txt"));
  EXPECT_THAT(refusal(), AllOf(HasSubstr("damaged"), HasSubstr("another --workers")));
  fs::remove_all(path("work"));
  write("work", "a file");
  EXPECT_THAT(refusal(), HasSubstr("choose a folder for --workers"));
}

// Other files, and names that are nearly those of tickets, are passed over.
TEST_F(Work, AMissingTicketIsDamageWhenItStaysAway) {
  const auto first = worker(kShort, "same", {"a"});
  for (const char* name : {"a.free", ".free", "a..free", "a.x-1.taken", "a.-1.free", "notes.txt",
                           "a.99999999999999999999.free"}) {
    write(std::string("work/trials/") + name, "");
  }
  fs::remove(inside("a.0.free"));
  EXPECT_FALSE(first->take());
  std::string error;
  soon([&] {
    try {
      first->take();
    } catch (const Error& thrown) {
      error = thrown.what();
    }
    return !error.empty();
  });
  EXPECT_THAT(error, AllOf(HasSubstr("no ticket of 'a'"), HasSubstr("another --workers")));
}

TEST_F(Work, ALeaseThatCannotBeRenewedStopsTheWorker) {
  const auto first = worker(kShort);
  const auto taken = first->take();
  fs::remove_all(inside("workers"));
  EXPECT_TRUE(soon([&] { return taken->stop.stop_requested(); }));
  EXPECT_THAT(error_of([&] { first->take(); }), HasSubstr("cannot be written"));
}

}  // namespace
}  // namespace ridgewalk
