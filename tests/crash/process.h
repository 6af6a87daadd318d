// A program that is disturbed while it runs.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace ridgewalk {

using Words = std::vector<std::string>;

inline double seconds_now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

// Of a variable of the environment.
inline std::string setting(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

inline void sleep_for(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

inline std::string read_text(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

struct Ending {
  int exit_code = -1;  // -1 when a signal ended it
  int signal = 0;      // that ended it
  std::string err;     // what it wrote to stderr
};

class Process {
 public:
  // `environment` is added to this process's. Standard output is thrown away.
  Process(const Words& words, const Words& environment, const std::string& err_file)
      : err_file_(err_file) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err_file.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    Words variables = environment;
    for (char** variable = environ; *variable != nullptr; ++variable) {
      variables.emplace_back(*variable);
    }
    const int failed = posix_spawn(&child_, words.at(0).c_str(), &actions, nullptr,
                                   pointers(words).data(), pointers(variables).data());
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) throw std::runtime_error(words.at(0) + " cannot be started");
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (!ended_) wait(0);
  }

  void send(int signal) const {
    if (!ended_) ::kill(child_, signal);
  }

  bool has_ended() {
    if (!ended_) ended_ = ::waitpid(child_, &status_, WNOHANG) == child_;
    return ended_;
  }

  // Until it ends; it is killed after `seconds`.
  Ending wait(double seconds = 900) {
    const double end = seconds_now() + seconds;
    while (!has_ended() && seconds_now() < end) sleep_for(0.001);
    if (!has_ended()) {
      send(SIGKILL);
      ::waitpid(child_, &status_, 0);
      ended_ = true;
    }
    return {.exit_code = WIFEXITED(status_) ? WEXITSTATUS(status_) : -1,
            .signal = WIFSIGNALED(status_) ? WTERMSIG(status_) : 0,
            .err = read_text(err_file_)};
  }

 private:
  static std::vector<char*> pointers(const Words& words) {
    std::vector<char*> list;
    for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));
    list.push_back(nullptr);
    return list;
  }

  std::string err_file_;
  pid_t child_ = 0;
  int status_ = 0;
  bool ended_ = false;
};

}  // namespace ridgewalk
