// Networks that start from a search's weights, and searches that start from a network's.
#include "tests/experiments/commands/program.h"

#include <signal.h>

namespace ridgewalk {
namespace {

using testing::HasSubstr;

class Inherit : public Program {
 protected:
  // A finished search of one stage, once for all tests.
  static const std::string& searched() {
    static const std::string out = [] {
      const std::string path = folder_ + "/searched";
      EXPECT_EQ(
          run({"search", "coarse", "--config", folder_ + "/config.yaml", "--out", path}).exit_code,
          0);
      return path;
    }();
    return out;
  }

  static std::vector<std::string> training(const std::string& out,
                                           std::vector<std::string> more = {}) {
    std::ofstream(folder_ + "/two.yaml")
        << "{epochs: 2, batch_size: 50, optimizer: adamw, learning_rate: 0.002}\n";
    std::vector<std::string> words{"train",
                                   searched() + "/found.yaml",
                                   "--data",
                                   "idx:" + images_,
                                   "--out",
                                   out,
                                   "--config",
                                   folder_ + "/two.yaml",
                                   "--seed",
                                   "1",
                                   "--threads",
                                   "1",
                                   "--search-validation",
                                   "100",
                                   "--checkpoint-every",
                                   "3"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
};

TEST_F(Inherit, ATrainingStartsFromItsSlicesAndResumes) {
  const std::string whole = folder_ + "/inherited", killed = folder_ + "/inherited-killed";
  const Outcome outcome = run(training(whole, {"--inherit", searched()}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(read(whole + "/result.yaml"), HasSubstr("coarse-supernet.safetensors"));
  ASSERT_EQ(run(training(folder_ + "/anew")).exit_code, 0);
  EXPECT_NE(read(whole + "/weights.safetensors"), read(folder_ + "/anew/weights.safetensors"));
  // Killed in the middle, resumed to the same bits; refused with other weights.
  const pid_t child = start(training(killed, {"--inherit", searched()}), "killed");
  while (!fs::exists(killed + "/checkpoint.safetensors")) usleep(1000);
  kill(child, SIGKILL);
  wait_for(child, "killed");
  expect_refused(training(killed, {"--resume"}), {"weights"});
  ASSERT_EQ(run(training(killed, {"--inherit", searched(), "--resume"})).exit_code, 0);
  EXPECT_EQ(read(whole + "/weights.safetensors"), read(killed + "/weights.safetensors"));
}

TEST_F(Inherit, RefusesWhatIsNoMemberOrNoRun) {
  const std::string out = folder_ + "/refused";
  expect_refused(training(out, {"--inherit", folder_}), {"holds no supernet"});
  expect_refused(training(out, {"--inherit", folder_ + "/nowhere"}),
                 {"nowhere/config.yaml", "cannot be read"});
  const std::string trained = folder_ + "/no-search";
  ASSERT_EQ(run(training(trained)).exit_code, 0);
  expect_refused(training(out, {"--inherit", trained}),
                 {trained, "holds no supernet; give the folder of a finished search"});
  for (const std::string command : {"front", "rank"}) {
    expect_refused({command, trained, "--out", out}, {trained, "holds no supernet"});
  }
  expect_refused(training(out, {"--inherit", searched(), "--weights", "w"}),
                 {"--inherit and --weights exclude each other"});
  expect_refused(training(out, {"--inherit", searched(), "--reset-head"}), {"--reset-head"});
  auto other = training(
      out, {"--inherit", searched(), "--channels", "1", "--classes", "10", "--resolution", "28"});
  other[1] = "compact-nano";
  expect_refused(other, {"has no supernet of this network"});
  EXPECT_FALSE(fs::exists(out));
}

std::vector<std::string> search_from(const std::string& config, const std::string& out,
                                     bool resume = false) {
  std::vector<std::string> words{"search", "coarse", "--config", config,
                                 "--out",  out,      "--jobs",   "1"};
  if (resume) words.push_back("--resume");
  return words;
}

std::string with_start(std::string config, const std::string& file) {
  const std::string key = "weights: {";
  return config.replace(config.find(key), key.size(), key + "start: " + file + ", ");
}

TEST_F(Inherit, ASupernetStartsFromANetworkAndResumes) {
  const std::string trained = folder_ + "/for-start";
  ASSERT_EQ(run(training(trained)).exit_code, 0);
  const std::string file = trained + "/weights.safetensors", path = folder_ + "/start.yaml";
  // The seed that the training held its images out with.
  std::ofstream(path) << with_start(config(), file);
  const std::string whole = folder_ + "/started", killed = folder_ + "/started-killed";
  const Outcome outcome = run(search_from(path, whole));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("starts from " + file));
  ASSERT_EQ(run(search_from(folder_ + "/config.yaml", folder_ + "/not-started")).exit_code, 0);
  EXPECT_NE(read(whole + "/coarse-supernet.safetensors"),
            read(folder_ + "/not-started/coarse-supernet.safetensors"));
  const pid_t child = start(search_from(path, killed), "killed");
  while (!fs::exists(killed + "/checkpoint.safetensors")) usleep(1000);
  kill(child, SIGKILL);
  wait_for(child, "killed");
  const Outcome resumed = run(search_from(path, killed, true));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(read(whole + "/coarse-supernet.safetensors"),
            read(killed + "/coarse-supernet.safetensors"));
  // Other weights in the file are another run.
  ASSERT_EQ(run({"export", searched() + "/found.yaml", "--format", "safetensors", "--seed", "5",
                 "--out", file})
                .exit_code,
            0);
  expect_refused(search_from(path, killed, true), {"start"});
}

// Blocks with weights of their own: searched, ranked and inherited as slices are, resumed to the
// same bits, and never started from what was cut from something wider.
TEST_F(Inherit, BlocksWithWeightsOfTheirOwnAreSearchedAndInherited) {
  const std::string space = folder_ + "/own-space.yaml", path = folder_ + "/own.yaml";
  std::ofstream(space) << read("space/spaces/fashion-mnist.yaml") << "sharing: blocks\n";
  std::string text = config("factor: 0.15", "single: {steps: 12, samples_per_step: 2}\n");
  text.replace(text.find("space: fashion-mnist"), 20, "space: " + space);
  std::ofstream(path) << text;
  const auto single = [&](const std::string& out) {
    return std::vector<std::string>{"search", "single", "--config", path, "--out", out};
  };
  const std::string whole = folder_ + "/own-run", killed = folder_ + "/own-killed";
  ASSERT_EQ(run(single(whole)).exit_code, 0);
  const pid_t child = start(single(killed), "killed");
  while (!fs::exists(killed + "/checkpoint.safetensors")) usleep(1000);
  kill(child, SIGKILL);
  wait_for(child, "killed");
  std::vector<std::string> again = single(killed);
  again.push_back("--resume");
  ASSERT_EQ(run(again).exit_code, 0);
  EXPECT_EQ(read(whole + "/single-supernet.safetensors"),
            read(killed + "/single-supernet.safetensors"));
  std::vector<std::string> inherits = training(folder_ + "/own-inherited", {"--inherit", whole});
  inherits[1] = whole + "/found.yaml";
  const Outcome outcome = run(inherits);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;

  const std::string out = folder_ + "/own-refused";
  expect_refused({"search", "all", "--config", path, "--out", out},
                 {"the fine stage", "'sharing: blocks'", "warm_start: false"});
  std::ofstream(path) << with_start(text, searched() + "/coarse-supernet.safetensors");
  expect_refused(single(out), {"coarse-supernet.safetensors", "leave 'start' out"});
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(Inherit, RefusesAStartThatDoesNotFit) {
  const std::string path = folder_ + "/bad-start.yaml", out = folder_ + "/bad-start";
  const auto refuse = [&](const std::string& file, const std::vector<std::string>& says) {
    std::ofstream(path) << with_start(config(), file);
    expect_refused(search_from(path, out), says);
    EXPECT_FALSE(fs::exists(out));
  };
  refuse(folder_ + "/nowhere.safetensors", {"nowhere.safetensors", "cannot be read"});
  std::ofstream(folder_ + "/rubbish.safetensors") << "rubbish that is no safetensors file";
  refuse(folder_ + "/rubbish.safetensors", {"rubbish.safetensors"});
  refuse("[1, 2]", {"bad-start.yaml", "start"});
  // Of another kind of network: a name in common is not enough to be of use, but is no error.
  ASSERT_EQ(run({"export", "mobilenet-v1", "--format", "safetensors", "--out",
                 folder_ + "/v1.safetensors"})
                .exit_code,
            0);
  std::ofstream(path) << with_start(config(), folder_ + "/v1.safetensors");
  const Outcome outcome = run(search_from(path, out));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("starts from"));
}

}  // namespace
}  // namespace ridgewalk
