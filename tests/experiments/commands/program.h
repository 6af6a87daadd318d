// The program as a user runs it, on a few images, in a folder that goes when the tests end.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "space/json.h"
#include "tests/tiny_images.h"

#ifndef RIDGEWALK_PROGRAM
#error "the build defines RIDGEWALK_PROGRAM"
#endif

namespace ridgewalk {

namespace fs = std::filesystem;

struct Outcome {
  int exit_code;  // -1 when killed by a signal
  std::string out, err;
};

class Program : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    images_ = write_tiny_images(600, 200);
    folder_ = images_ + "/work";
    fs::create_directories(folder_);
    std::ofstream(folder_ + "/config.yaml") << config();
  }
  static void TearDownTestSuite() { fs::remove_all(images_); }

  // A whole search in seconds.
  static std::string config(const std::string& target = "factor: 0.15",
                            const std::string& extra = "") {
    return "space: fashion-mnist\ndata: idx:" + images_ + R"(
search_validation: 100
seed: 3
precision: fp32
targets:
  - {profile: pixel6-cpu, relative_to: mnv4-conv-small, )" +
           target + R"(}
reward: {form: absolute, beta: -2}
weights: {batch_size: 16, validation_batch_size: 50, optimizer: adamw, learning_rate: 0.002, flip: true}
coarse: {steps: 12, samples_per_step: 2, controller_learning_rate: 0.1, candidates: 40}
fine: {steps: 12, samples_per_step: 2, controller_learning_rate: 0.1, candidates: 40, warm_start: true}
hybrid: {steps: 8, samples_per_step: 2, controller_learning_rate: 0.1, warm_start: true, latency_factor: 1.2}
train: {epochs: 1, batch_size: 50, optimizer: adamw, learning_rate: 0.005}
report_ridge_points: [0, 31.2, 500]
checkpoint_every: 2
)" + extra;
  }

  // `variables` are set in its environment.
  static pid_t start(const std::vector<std::string>& arguments, const std::string& name,
                     const std::map<std::string, std::string>& variables = {}) {
    const pid_t child = fork();
    if (child != 0) return child;
    for (const auto& [variable, value] : variables) setenv(variable.c_str(), value.c_str(), 1);
    const auto redirect = [&](int descriptor, const std::string& file) {
      const int opened = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      dup2(opened, descriptor);
    };
    redirect(STDOUT_FILENO, folder_ + "/" + name + ".out");
    redirect(STDERR_FILENO, folder_ + "/" + name + ".err");
    std::vector<char*> words{const_cast<char*>(RIDGEWALK_PROGRAM)};
    for (const std::string& argument : arguments)
      words.push_back(const_cast<char*>(argument.c_str()));
    words.push_back(nullptr);
    execv(RIDGEWALK_PROGRAM, words.data());
    _exit(127);
  }

  static Outcome wait_for(pid_t child, const std::string& name) {
    int status = 0;
    waitpid(child, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(folder_ + "/" + name + ".out"),
            read(folder_ + "/" + name + ".err")};
  }

  static Outcome run(const std::vector<std::string>& arguments) {
    return wait_for(start(arguments, "command"), "command");
  }

  // A network of few weights for images as those of images_, in fp32 on one thread.
  static std::vector<std::string> small_network(int resolution) {
    return {"custom",
            "--base",
            "8",
            "--expanded",
            "16",
            "--n3",
            "0",
            "--hidden",
            "16",
            "--resolution",
            std::to_string(resolution),
            "--channels",
            "1",
            "--classes",
            "10",
            "--threads",
            "1",
            "--precision",
            "fp32"};
  }

  static std::string read(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  static std::vector<std::string> search(const std::string& out, bool resume = false,
                                         int jobs = 2) {
    std::vector<std::string> words{"search", "all", "--config", folder_ + "/config.yaml",
                                   "--out",  out,   "--jobs",   std::to_string(jobs)};
    if (resume) words.push_back("--resume");
    return words;
  }

  static void expect_refused(const std::vector<std::string>& arguments,
                             const std::vector<std::string>& says) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    for (const std::string& text : says) EXPECT_THAT(outcome.err, testing::HasSubstr(text));
  }

  // Everything that a run leaves but its checkpoint and report, which hold wall times.
  static std::map<std::string, std::string> results(const std::string& out) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(out)) {
      const std::string name = entry.path().filename();
      if (name != "checkpoint.safetensors" && name != "report.html")
        files[name] = read(entry.path());
    }
    return files;
  }

  static void expect_same(const std::string& a, const std::string& b) {
    const auto left = results(a);
    const auto right = results(b);
    EXPECT_GE(left.size(), 13u);
    ASSERT_EQ(left.size(), right.size());
    for (const auto& [name, bytes] : left) EXPECT_TRUE(right.at(name) == bytes) << name;
  }

  static inline std::string images_, folder_;
};

}  // namespace ridgewalk
