// A search whose supernet the tests of what is said of it share.
#pragma once

#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/experiments/commands/program.h"

namespace ridgewalk {

class Evidence : public Program {
 protected:
  // One supernet for all tests, trained on uniform samples.
  static void SetUpTestSuite() {
    Program::SetUpTestSuite();
    std::ofstream(folder_ + "/single.yaml") << single_config();
    supernet_ = folder_ + "/single";
    ASSERT_EQ(run({"search", "single", "--config", folder_ + "/single.yaml", "--out", supernet_})
                  .exit_code,
              0);
  }

  static std::string single_config(const std::string& method = "random") {
    std::string text =
        config("factor: 0.15", "single: {steps: 24, samples_per_step: 2, method: " + method +
                                   ", evaluations: 12, tolerance: 0.2}\nrandom_tolerance: 0.2\n");
    const size_t at = text.find("targets:");
    text.replace(at, text.find("reward:") - at,
                 "targets: {ridge: [0, 500], relative_to: compact-nano, points: 16}\n");
    return text;
  }

  static std::vector<std::string> rank_five(const std::string& out) {
    return {"rank", supernet_, "--out", out, "--networks", "5", "--tolerance", "0.2"};
  }

  static std::vector<std::string> lines(const std::string& path) {
    std::vector<std::string> result;
    std::istringstream stream(read(path));
    for (std::string line; std::getline(stream, line);) result.push_back(line);
    return result;
  }

  // Kills the command again and again, later each time, and resumes it until it ends.
  static void run_with_kills(std::vector<std::string> arguments, const std::string& out) {
    for (int tries = 1; tries < 50; ++tries) {
      const pid_t child = start(arguments, "killed");
      usleep(700000 * unsigned(tries));
      kill(child, SIGKILL);
      const Outcome outcome = wait_for(child, "killed");
      if (outcome.exit_code == 0) return;
      ASSERT_EQ(outcome.exit_code, -1) << outcome.err;
      const bool begun = fs::exists(out + "/checkpoint.safetensors");
      if (begun && arguments.back() != "--resume") arguments.push_back("--resume");
    }
    FAIL() << "never ended";
  }

  static inline std::string supernet_;
};

}  // namespace ridgewalk
