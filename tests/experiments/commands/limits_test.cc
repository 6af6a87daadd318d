// What the system refuses: full disks, closed terminals, impossible paths, too little memory.
#include <signal.h>

#include <chrono>
#include <thread>

#include "tests/experiments/commands/program.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

// For redirections and limits that run() has not.
Outcome shell(const std::string& command, const std::string& folder) {
  const std::string out = folder + "/shell.out", err = folder + "/shell.err";
  const std::string whole = "exec >" + out + " 2>" + err + "; " + command;
  const int status = std::system(whole.c_str());
  const auto read = [](const std::string& path) {
    std::ifstream stream(path);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  };
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(out), read(err)};
}

const std::string kProgram = RIDGEWALK_PROGRAM;

TEST_F(Program, OutputThatCannotBeWrittenIsAFailure) {
  for (const char* words : {" describe mobilenet-v1 --json", " describe mobilenet-v1", " --help",
                            " sweep --help", " describe --catalog"}) {
    const Outcome full = shell(kProgram + words + " >/dev/full", folder_);
    EXPECT_EQ(full.exit_code, 1) << words;
    EXPECT_THAT(full.err, HasSubstr("No space left on device")) << words;
    EXPECT_EQ(std::count(full.err.begin(), full.err.end(), '\n'), 1) << full.err;
    const Outcome closed = shell(kProgram + words + " >&-", folder_);
    EXPECT_EQ(closed.exit_code, 1) << words;
    EXPECT_THAT(closed.err, HasSubstr("Bad file descriptor")) << words;
  }
  // Nothing that is printed ends in a file that took the place of stdout.
  const std::string out = folder_ + "/closed.safetensors";
  const Outcome closed = shell(
      kProgram + " export compact-nano --format safetensors --out " + out + " >&- 2>/dev/null",
      folder_);
  EXPECT_EQ(closed.exit_code, 1);
  ASSERT_EQ(
      run({"export", "compact-nano", "--format", "safetensors", "--out", out + "2"}).exit_code, 0);
  EXPECT_EQ(read(out), read(out + "2"));
}

TEST_F(Program, ImpossiblePathsAreRefusedInOneLine) {
  const std::string name(300, 'x');
  const std::string path(5000, 'y');
  for (const std::string& bad : {name, path, folder_ + "/" + name}) {
    expect_refused({"describe", bad}, {"File name too long"});
    expect_refused({"sweep", bad, "--out", folder_ + "/impossible"}, {"File name too long"});
    expect_refused({"describe", "mobilenet-v1", "--profile", bad}, {"File name too long"});
    expect_refused({"sweep", "--members", bad + ":3", "--out", folder_ + "/impossible"},
                   {"File name too long"});
    expect_refused({"sweep", "mobilenet-v1", "--out", folder_ + "/" + bad}, {"--out"});
    expect_refused(
        {"train", "compact-nano", "--data", "idx:" + bad, "--out", folder_ + "/impossible"}, {});
    expect_refused({"evaluate", "compact-nano", "--weights", bad, "--data", "imagefolder:" + bad},
                   {});
    expect_refused({"evaluate", "compact-nano", "--weights", bad, "--data", "cifar10:" + bad}, {});
    expect_refused({"fit", bad}, {});
    expect_refused({"search", "--config", bad, "--out", folder_ + "/impossible"}, {});
    expect_refused({"search", "--config", folder_ + "/config.yaml", "--out", folder_ + "/" + bad},
                   {});
    expect_refused({"rank", bad, "--out", folder_ + "/impossible"}, {});
    expect_refused({"front", bad, "--out", folder_ + "/impossible"}, {});
  }
  EXPECT_FALSE(fs::exists(folder_ + "/impossible"));
}

TEST_F(Program, ANetworkLargerThanTheMemoryIsRefusedWithTheFigures) {
  const auto with = [&](const std::string& command, const char* resolution,
                        std::vector<std::string> more) {
    std::vector<std::string> words{command,     "custom",  "--base",       "512",        "--n1",
                                   "0",         "--heads", "64",           "--channels", "1",
                                   "--classes", "10",      "--resolution", resolution};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const std::string data = "idx:" + images_, weights = folder_ + "/huge.safetensors";
  // The weights are small, and the same for every resolution.
  ASSERT_EQ(run(with("export", "32", {"--format", "safetensors", "--out", weights})).exit_code, 0);
  expect_refused(with("bench", "8192", {}),
                 {"'custom' on 1 image needs about", "attention scores", "are available"});
  expect_refused(with("evaluate", "8192", {"--weights", weights, "--data", data}), {"needs about"});
  expect_refused(with("train", "8192", {"--data", data, "--out", folder_ + "/huge"}),
                 {"needs about"});
  expect_refused(
      with("distill", "8192", {"--weights", weights, "--data", data, "--out", folder_ + "/huge"}),
      {"needs about"});
  expect_refused({"export",       "custom",
                  "--base",       "65536",
                  "--expanded",   "65536",
                  "--n1",         "12",
                  "--n2",         "0",
                  "--n3",         "0",
                  "--n4",         "0",
                  "--heads",      "1",
                  "--resolution", "8192",
                  "--format",     "onnx",
                  "--out",        folder_ + "/huge"},
                 {"needs about", "weights"});
  EXPECT_FALSE(fs::exists(folder_ + "/huge"));
}

TEST_F(Program, ASupernetLargerThanTheMemoryIsRefusedWithTheFigures) {
  std::string text = config();
  const std::string batch = "batch_size: 16,";
  text.replace(text.find(batch), batch.size(), "batch_size: 65536,");
  const std::string path = folder_ + "/large_batch.yaml";
  std::ofstream(path) << text << "single: {steps: 24, samples_per_step: 2}\n";
  for (const char* command : {"search", "compare"}) {
    expect_refused({command, "--config", path, "--out", folder_ + "/huge"},
                   {"a supernet of space 'fashion-mnist", "on 65536 images", "needs about",
                    "take a smaller batch_size"});
  }
  EXPECT_FALSE(fs::exists(folder_ + "/huge"));
}

// What no estimate foresaw: here a limit that only the allocator meets.
TEST_F(Program, RunningOutOfMemoryIsOneLine) {
  const std::string network =
      " custom --base 128 --n1 0 --n2 0 --n3 0 --heads 4 --resolution 512 --channels 1 --classes "
      "10 ";
  const std::string weights = folder_ + "/wide.safetensors";
  ASSERT_EQ(shell(kProgram + " export" + network + "--format safetensors --out " + weights, folder_)
                .exit_code,
            0);
  const Outcome outcome =
      shell("ulimit -v 4000000; " + kProgram + " evaluate" + network +
                "--batch-size 16 --threads 1 --jobs 1 " + "--precision fp32 --weights " + weights +
                " --data idx:" + images_,
            folder_);
  EXPECT_GT(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, testing::AnyOf(HasSubstr("out of memory"), HasSubstr("needs about")));
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

// A terminal that is closed.
TEST_F(Program, AHangupWritesACheckpointAndExits130) {
  std::ofstream(folder_ + "/hangup.yaml")
      << "{epochs: 1000, batch_size: 50, optimizer: adamw, learning_rate: 0.005}\n";
  const std::string out = folder_ + "/hangup";
  std::vector<std::string> words = small_network(28);
  words.insert(words.begin(), "train");
  words.insert(words.end(), {"--n4", "0", "--data", "idx:" + images_, "--checkpoint-every",
                             "100000", "--config", folder_ + "/hangup.yaml", "--out", out});
  const pid_t child = start(words, "hangup");
  while (!fs::exists(out + "/checkpoint.safetensors")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  // The kernel and the shell may send one each.
  kill(child, SIGHUP);
  kill(child, SIGHUP);
  const Outcome stopped = wait_for(child, "hangup");
  EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("--resume"));
}

// What a command reads it does not write over, by another path to the same file neither.
TEST_F(Program, WhatIsReadIsNotReplaced) {
  const std::string table = folder_ + "/kept.csv", test = folder_ + "/kept-test.csv",
                    weights = folder_ + "/kept.safetensors", link = folder_ + "/link";
  std::ofstream(table) << "network,a_ms\nmobilenet-v1,1\nmobilenet-v2,2\ncompact-nano,3\n";
  fs::copy_file(table, test);
  ASSERT_EQ(run({"export", "compact-nano", "--format", "safetensors", "--out", weights}).exit_code,
            0);
  const auto refuse = [](std::vector<std::string> words, const std::string& file,
                         const std::string& out) {
    const std::string before = read(file);
    words.insert(words.end(), {"--out", out});
    expect_refused(words, {"'" + out + "' would replace what it is made from"});
    EXPECT_TRUE(read(file) == before) << file;
  };
  const std::string back = folder_ + "/../" + fs::path(folder_).filename().string() + "/";
  for (const std::string& file : {table, test, weights}) {
    fs::remove(link);
    fs::create_symlink(file, link);
    for (const std::string& out : {file, link, back + fs::path(file).filename().string()}) {
      if (file == weights) {
        for (const char* format : {"safetensors", "onnx"}) {
          refuse({"export", "compact-nano", "--weights", weights, "--format", format}, file, out);
        }
        refuse({"distill", "compact-nano", "--weights", weights, "--data", "idx:" + images_}, file,
               out);
      } else {
        refuse({"fit", table, "--test", test}, file, out);
      }
    }
  }
}

}  // namespace
}  // namespace ridgewalk
