// A folder of work, and workers in it.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "experiments/run/work_folder.h"
#include "tests/folder_test.h"

namespace ridgewalk {

namespace fs = std::filesystem;

inline constexpr double kLong = 1000;  // seconds: no lease runs out
inline constexpr double kShort = 0.3;
inline constexpr double kSafe = 1.5;  // a busy machine renews it in time

class Work : public FolderTest {
 protected:
  std::unique_ptr<WorkFolder> worker(double lease = kLong, const std::string& inputs = "seed: 1\n",
                                     std::vector<std::string> trials = {"a", "b", "c"}) const {
    return std::make_unique<WorkFolder>(path("work"), inputs, std::move(trials), lease);
  }

  std::string inside(const std::string& name) const { return path("work/trials/" + name); }

  // The only file or folder there whose name begins and ends so.
  std::string only(const std::string& begin, const std::string& end) const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(path("work/trials"))) {
      const std::string name = entry.path().filename();
      if (name.starts_with(begin) && name.ends_with(end)) found.push_back(entry.path());
    }
    EXPECT_EQ(found.size(), 1u) << begin << "*" << end;
    return found.empty() ? "" : found[0];
  }

  // What `ask` gives as soon as it gives something; fails after a while.
  template <class Ask>
  static auto soon(Ask ask) {
    auto answer = ask();
    for (int tries = 0; tries < 2000 && !answer; ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      answer = ask();
    }
    EXPECT_TRUE(answer) << "not within 20 s";
    return answer;
  }

  void leave(const TakenTrial& taken, const std::string& text) const {
    std::ofstream(taken.folder + "/left") << text;
  }

  // A process that does `work` and ends with what it returns.
  static pid_t process(const std::function<int()>& work) {
    const pid_t child = fork();
    if (child == 0) _exit(work());
    return child;
  }
  static int end_of(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
};

}  // namespace ridgewalk
