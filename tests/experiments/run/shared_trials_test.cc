// Trials that write a file and a line of the log, shared out by workers of one process.
#include "experiments/run/shared_trials.h"

#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "space/file.h"
#include "tests/folder_test.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class Shared : public FolderTest {
 protected:
  using Work = std::function<void(RunFolder& part, const Session& session)>;

  // The work of trial a, b or c.
  static Work writes(const std::string& name, std::atomic<int>* times = nullptr) {
    return [=](RunFolder& part, const Session&) {
      part.begin<int>(name);
      part.log({{"phase", name}});
      write_file(part.file(name + ".txt"), "of " + name);
      part.finish(Json(name + " is done"));
      if (times != nullptr) ++*times;
    };
  }

  std::optional<Leadership> share(const Work& of_b, int lanes = 1,
                                  const std::string& out = "out") const {
    SharedTrials shared{.inputs = "same", .trials = {}, .out = out, .open_runs = {}};
    shared.trials.push_back({.name = "a", .fingerprint = "same", .work = writes("a")});
    shared.trials.push_back({.name = "b", .fingerprint = "same", .work = of_b});
    shared.trials.push_back({.name = "c", .fingerprint = "same", .work = writes("c")});
    shared.open_runs = [&] {
      std::vector<RunFolder> runs;
      runs.push_back(RunFolder::open(path(out), "same"));
      return runs;
    };
    const Session session{.compute = {.lanes = lanes}, .quiet = true, .stop = {}};
    return share_out({path("work"), 0.5}, shared, session);
  }

  void expect_results(const RunFolder& run) const {
    for (const std::string name : {"a", "b", "c"}) {
      EXPECT_EQ(run.result<std::string>(name), name + " is done");
      EXPECT_EQ(read(run.file(name + ".txt")), "of " + name);
    }
    EXPECT_EQ(read(run.file("log.jsonl")),
              "{\"phase\":\"a\"}\n{\"phase\":\"b\"}\n{\"phase\":\"c\"}\n");
  }

  std::string done(const std::string& file) const { return "work/trials/" + file; }
};

TEST_F(Shared, TheLeaderHasAllResultsInOrder) {
  const auto lead = share(writes("b"), 3);
  ASSERT_TRUE(lead);
  expect_results(lead->runs[0]);
}

TEST_F(Shared, OneOfSeveralWorkersLeads) {
  std::atomic<int> leaders = 0, times = 0;
  {
    std::vector<std::jthread> workers;
    for (int i = 0; i < 4; ++i) {
      workers.emplace_back([&] {
        const auto lead = share(writes("b", &times));
        if (!lead) return;
        ++leaders;
        expect_results(lead->runs[0]);
        lead->folder->finish_lead();
      });
    }
  }
  EXPECT_EQ(leaders, 1);
  EXPECT_EQ(times, 1);
}

TEST_F(Shared, ATrialThatFailsIsGivenBackAndTheCommandGivenAgainGoesOn) {
  EXPECT_THROW(share([](RunFolder& part, const Session&) {
                 part.begin<int>("b");
                 part.checkpoint(Json(5), {});
                 throw std::runtime_error("the loss is not finite");
               }),
               std::runtime_error);
  std::optional<int> resumed;
  const auto lead = share([&](RunFolder& part, const Session& session) {
    resumed = part.begin<int>("b");
    writes("b")(part, session);
  });
  ASSERT_TRUE(lead);
  expect_results(lead->runs[0]);
  EXPECT_EQ(resumed, 5);
}

// As a torn disk leaves it.
TEST_F(Shared, WhatAnEarlierWorkerLeftDamagedIsDoneAnew) {
  EXPECT_THROW(share([](RunFolder& part, const Session&) {
                 part.begin<int>("b");
                 part.checkpoint(Json(5), {});
                 write_file(part.checkpoint_file(), read(part.checkpoint_file()).substr(0, 40));
                 throw std::runtime_error("killed");
               }),
               std::runtime_error);
  const auto lead = share([](RunFolder& part, const Session& session) {
    EXPECT_FALSE(part.begin<int>("b"));
    writes("b")(part, session);
  });
  ASSERT_TRUE(lead);
  expect_results(lead->runs[0]);
}

TEST_F(Shared, DamagedResultsAreNamedAndMadeAgainWhenRemoved) {
  share(writes("b"));
  fs::remove_all(path("out"));
  for (const std::string file : {"checkpoint.safetensors", "log.jsonl"}) {
    const std::string whole = read(path(done("b.done/" + file)));
    for (const size_t length : {size_t(0), whole.size() / 2, whole.size() - 1}) {
      write(done("b.done/" + file), whole.substr(0, length));
      EXPECT_THAT(error_of([&] { share(writes("b"), 1, "again"); }),
                  AllOf(HasSubstr("b.done"), HasSubstr("is damaged"), HasSubstr("remove it")));
    }
    write(done("b.done/" + file), whole);
  }
  fs::remove_all(path(done("b.done")));
  const auto lead = share(writes("b"), 1, "again");
  ASSERT_TRUE(lead);
  expect_results(lead->runs[0]);
}

TEST_F(Shared, TheRunListsTheMachinesThatItRanOn) {
  share(writes("b"));
  const std::string mine = read(path("out/environment.yaml"));
  const std::string another = "- ridgewalk: 0.1.0\n  cpu: another\n";
  write(done("b.done/environment.yaml"), another);
  write(done("c.done/environment.yaml"), another + mine);
  const auto lead = share(writes("b"), 1, "again");
  EXPECT_EQ(read(path("again/environment.yaml")), mine + another);
}

}  // namespace
}  // namespace ridgewalk
