// A progress bar on a terminal, nothing elsewhere. Bars of work that goes on at the same time share
// a line. Threads may use them at once.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>

namespace ridgewalk {

class Progress {
 public:
  // `done` of `total` steps are already done; a step takes `images_per_step` images, 0 where images
  // are not counted.
  Progress(std::string title, int done, int total, double images_per_step, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Draws at most ten times a second: share done, images per second, time left, `note`.
  void update(int done, const std::string& note);

 private:
  using Clock = std::chrono::steady_clock;
  std::string title_;
  int first_, total_;
  double images_per_step_;
  bool on_terminal_;
  Clock::time_point start_ = Clock::now();
  int done_;
  std::string note_;

  std::string text() const;
  std::string short_text() const;
  int percent() const { return 100 * done_ / std::max(1, total_); }
  static void draw();
};

// Writes to stderr. A terminal that was closed meanwhile is no reason to end a run.
void say(const std::string& text);

// "1:05" or "2:03:04".
std::string duration_text(double seconds);

}  // namespace ridgewalk
