// Runs of several processes, as a launcher would start them, beside the same run of one.
#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include <torch/cuda.h>

#include "experiments/machine/launcher.h"
#include "tests/experiments/commands/program.h"
#include "tests/free_port.h"

namespace ridgewalk {
namespace {

using std::chrono::steady_clock;
using testing::HasSubstr;

class Groups : public Program {
 protected:
  static void SetUpTestSuite() {
    Program::SetUpTestSuite();
    std::ofstream(folder_ + "/search.yaml") << config(
        "factor: 0.15",
        R"(single: {steps: 6, samples_per_step: 4, controller_delay: 0.5, controller_learning_rate: 0.1, candidates: 3}
)");
    std::ofstream(folder_ + "/sandwich.yaml") << config(
        "factor: 0.15",
        R"(single: {steps: 6, samples_per_step: 4, controller_delay: 0.5, sandwich: true, fair: true, candidates: 3}
)");
    std::ofstream(folder_ + "/long.yaml")
        << config("factor: 0.15", R"(single: {steps: 4000, samples_per_step: 2, candidates: 3}
)");
    std::ofstream(folder_ + "/train.yaml") << "{epochs: 2, batch_size: 40, shards: 2, flip: true, "
                                              "optimizer: adamw, learning_rate: 0.005, ema: 0.9}\n";
  }

  static std::vector<std::string> search(const std::string& out, const std::string& config) {
    return {"search", "single",    "--config", folder_ + "/" + config, "--out", out, "--jobs",
            "1",      "--threads", "1"};
  }

  // As one starts a group by hand, `words` for each process, with what else a launcher says of one.
  static std::vector<pid_t> start_all(const std::vector<std::vector<std::string>>& words,
                                      const std::function<Variables(int)>& more = {}) {
    const std::string port = std::to_string(free_port());
    std::vector<pid_t> children;
    for (size_t rank = 0; rank < words.size(); ++rank) {
      Variables variables = more ? more(int(rank)) : Variables{};
      variables.merge(Variables{{"RANK", std::to_string(rank)},
                                {"WORLD_SIZE", std::to_string(words.size())},
                                {"MASTER_ADDR", "127.0.0.1"},
                                {"MASTER_PORT", port},
                                {"TMPDIR", folder_}});  // what is killed leaves files
      children.push_back(start(words[rank], name_of(int(rank)), variables));
    }
    return children;
  }
  // As torchrun does.
  static std::vector<pid_t> start_all(int size, const std::vector<std::string>& words) {
    return start_all(std::vector(size_t(size), words), [&](int rank) {
      return Variables{{"LOCAL_WORLD_SIZE", std::to_string(size)},
                       {"LOCAL_RANK", std::to_string(rank)}};
    });
  }
  static std::vector<Outcome> wait_for_all(const std::vector<pid_t>& children) {
    std::vector<Outcome> outcomes;
    for (size_t rank = 0; rank < children.size(); ++rank) {
      outcomes.push_back(wait_for(children[rank], name_of(int(rank))));
    }
    return outcomes;
  }
  static std::string name_of(int rank) { return "process" + std::to_string(rank); }

  static void expect_success(int size, const std::vector<std::string>& words) {
    const std::vector<Outcome> outcomes = wait_for_all(start_all(size, words));
    for (size_t rank = 0; rank < outcomes.size(); ++rank) {
      EXPECT_EQ(outcomes[rank].exit_code, 0) << outcomes[rank].err;
      if (rank == 0) continue;
      EXPECT_EQ(outcomes[rank].out, "");
      EXPECT_EQ(outcomes[rank].err, "");
    }
    EXPECT_NE(outcomes[0].out, "");
  }

  static void expect_same_files(const std::string& a, const std::string& b) {
    const auto left = results(a), right = results(b);
    EXPECT_GE(left.size(), 5u);
    ASSERT_EQ(left.size(), right.size());
    for (const auto& [name, bytes] : left) EXPECT_TRUE(right.at(name) == bytes) << name;
  }

  // Until the run in `out` has logged a step.
  static void wait_for_steps(const std::string& out, int steps) {
    const auto lines = [&] {
      const std::string log = read(out + "/log.jsonl");
      return std::count(log.begin(), log.end(), '\n');
    };
    const auto end = steady_clock::now() + std::chrono::seconds(120);
    while (lines() < steps && steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    ASSERT_GE(lines(), steps);
  }

  static int lines(const std::string& text) {
    return int(std::count(text.begin(), text.end(), '\n'));
  }
};

TEST_F(Groups, SearchAsOneProcessDoes) {
  const std::string one = folder_ + "/one";
  ASSERT_EQ(run(search(one, "search.yaml")).exit_code, 0);
  for (int size : {2, 4}) {
    const std::string out = folder_ + "/several" + std::to_string(size);
    expect_success(size, search(out, "search.yaml"));
    expect_same_files(out, one);
  }
}

TEST_F(Groups, TrainSandwichesAsOneProcessDoes) {
  const std::string one = folder_ + "/one-sandwich", out = folder_ + "/several-sandwich";
  ASSERT_EQ(run(search(one, "sandwich.yaml")).exit_code, 0);
  expect_success(3, search(out, "sandwich.yaml"));
  expect_same_files(out, one);
}

TEST_F(Groups, TrainAndDistilAsOneProcessDoes) {
  const auto with = [](std::vector<std::string> words, std::initializer_list<std::string> more) {
    words.insert(words.end(),
                 {"compact-nano", "--data", "idx:" + images_, "--channels", "1", "--classes", "10",
                  "--resolution", "28", "--threads", "1", "--precision", "fp32"});
    words.insert(words.end(), more);
    return words;
  };
  const auto train = [&](const std::string& out) {
    return with({"train"}, {"--config", folder_ + "/train.yaml", "--out", out});
  };
  ASSERT_EQ(run(train(folder_ + "/alone")).exit_code, 0);
  expect_success(2, train(folder_ + "/together"));
  expect_same_files(folder_ + "/together", folder_ + "/alone");

  const auto distil = [&](const std::string& out) {
    return with({"distill"}, {"--weights", folder_ + "/alone/weights.safetensors", "--replicas",
                              "2", "--batch-size", "70", "--out", out});
  };
  ASSERT_EQ(run(distil(folder_ + "/labels1")).exit_code, 0);
  for (int size : {2, 4}) {
    expect_success(size, distil(folder_ + "/labels2"));
    EXPECT_EQ(read(folder_ + "/labels2"), read(folder_ + "/labels1"));
  }
}

TEST_F(Groups, EndWhenAProcessIsKilledAndGoOnInAnotherNumber) {
  const std::string out = folder_ + "/killed";
  const std::vector<pid_t> children = start_all(2, search(out, "long.yaml"));
  wait_for_steps(out, 5);
  const auto killed = steady_clock::now();
  kill(children[1], SIGKILL);
  const std::vector<Outcome> outcomes = wait_for_all(children);
  EXPECT_LT(steady_clock::now() - killed, std::chrono::seconds(30));  // of a timeout of 60
  EXPECT_EQ(outcomes[0].exit_code, 1);
  EXPECT_EQ(outcomes[1].exit_code, -1);
  EXPECT_THAT(outcomes[0].err, HasSubstr("another of the 2 processes has ended"));
  EXPECT_THAT(outcomes[0].err, HasSubstr("last good checkpoint: " + out));
  // One line beside what it had said of the space.
  EXPECT_EQ(lines(outcomes[0].err.substr(outcomes[0].err.find("ridgewalk: single"))), 1);

  // One process and three take it up, each interrupted; the log is that of one that never was.
  std::vector<std::string> resume = search(out, "long.yaml");
  resume.emplace_back("--resume");
  const int so_far = lines(read(out + "/log.jsonl"));
  const pid_t one = start(resume, "one");
  wait_for_steps(out, so_far + 4);
  kill(one, SIGTERM);
  EXPECT_EQ(wait_for(one, "one").exit_code, 130);

  const int then = lines(read(out + "/log.jsonl"));
  const std::vector<pid_t> three = start_all(3, resume);
  wait_for_steps(out, then + 4);
  kill(three[2], SIGTERM);  // not the one that writes
  const std::vector<Outcome> stopped = wait_for_all(three);
  for (size_t rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(stopped[rank].exit_code, 130) << stopped[rank].err;
    if (rank > 0) {
      EXPECT_EQ(stopped[rank].err, "");
    }
  }

  const std::string whole = folder_ + "/whole", log = read(out + "/log.jsonl");
  const pid_t child = start(search(whole, "long.yaml"), "whole");
  wait_for_steps(whole, lines(log));
  kill(child, SIGTERM);
  EXPECT_EQ(wait_for(child, "whole").exit_code, 130);
  EXPECT_EQ(read(whole + "/log.jsonl").substr(0, log.size()), log);
}

TEST_F(Groups, RefuseInALine) {
  std::vector<std::string> words = search(folder_ + "/refused", "search.yaml");
  const Outcome outcome =
      wait_for(start(words, "refused", {{"RANK", "2"}, {"WORLD_SIZE", "2"}}), "refused");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(lines(outcome.err), 1);
  EXPECT_THAT(outcome.err, HasSubstr("RANK is '2'; it must be a whole number from 0 to 1"));

  const Outcome lost = wait_for(start(words, "refused",
                                      {{"RANK", "0"},
                                       {"WORLD_SIZE", "2"},
                                       {"MASTER_ADDR", "no-such-host.invalid"},
                                       {"MASTER_PORT", "1"}}),
                                "refused");
  EXPECT_EQ(lost.exit_code, 2);
  EXPECT_THAT(lost.err, HasSubstr("cannot meet at no-such-host.invalid:1"));

  if (!torch::cuda::is_available()) {
    words.insert(words.end(), {"--device", "cuda"});
    const std::vector<Outcome> without_gpu = wait_for_all(start_all(2, words));
    EXPECT_EQ(without_gpu[0].exit_code, 2);
    EXPECT_EQ(without_gpu[1].exit_code, 2);
    EXPECT_THAT(without_gpu[0].err, HasSubstr("--device"));
  }
}

// Each would take the first one.
TEST_F(Groups, RefuseGpusWhereNothingNumbersThem) {
  std::vector<std::string> words = search(folder_ + "/refused", "search.yaml");
  words.insert(words.end(), {"--device", "cuda"});
  const std::vector<Outcome> outcomes = wait_for_all(start_all({words, words}));
  EXPECT_EQ(outcomes[0].exit_code, 2);
  EXPECT_EQ(outcomes[1].exit_code, 2);
  EXPECT_THAT(outcomes[0].err, HasSubstr("export LOCAL_RANK"));
}

TEST_F(Groups, RefuseDifferentInputs) {
  const std::string teacher = folder_ + "/teacher.safetensors";
  const std::vector<std::string> network = {"compact-nano", "--channels",   "1", "--classes",
                                            "10",           "--resolution", "28"};
  std::vector<std::string> make = {"export", "--format", "safetensors", "--out", teacher};
  make.insert(make.end(), network.begin(), network.end());
  ASSERT_EQ(run(make).exit_code, 0);
  std::vector<std::string> distil = {"distill", "--data", "idx:" + images_,     "--weights",
                                     teacher,   "--out",  folder_ + "/refused", "--threads",
                                     "1"};
  distil.insert(distil.end(), network.begin(), network.end());
  for (const auto& command : {search(folder_ + "/refused", "search.yaml"), distil}) {
    std::vector<std::vector<std::string>> words(2, command);
    words[0].insert(words[0].end(), {"--seed", "0"});
    words[1].insert(words[1].end(), {"--seed", "1"});
    const std::vector<Outcome> outcomes = wait_for_all(start_all(words));
    EXPECT_EQ(outcomes[0].exit_code, 2);
    EXPECT_EQ(outcomes[1].exit_code, 2);
    EXPECT_THAT(outcomes[0].err, HasSubstr("process 1 of 2 was given another configuration"));
    EXPECT_EQ(outcomes[1].err, "");
    EXPECT_FALSE(fs::exists(folder_ + "/refused"));
  }
}

}  // namespace
}  // namespace ridgewalk
