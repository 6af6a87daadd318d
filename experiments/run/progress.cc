#include "experiments/run/progress.h"

#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace ridgewalk {

namespace {

// The line of the terminal that bars are drawn on.
struct BarLine {
  std::mutex mutex;  // guards the bars and what is written
  std::vector<const Progress*> bars;
  std::chrono::steady_clock::time_point drawn;
};

BarLine& bar_line() {
  static BarLine line;
  return line;
}

constexpr const char* kClear = "\r\033[K";

void write(const std::string& text) {
  std::fputs(text.c_str(), stderr);  // fmt::print() would throw
  std::fflush(stderr);
}

}  // namespace

Progress::Progress(std::string title, int done, int total, double images_per_step, bool quiet)
    : title_(std::move(title)),
      first_(done),
      total_(total),
      images_per_step_(images_per_step),
      on_terminal_(!quiet && isatty(STDERR_FILENO)),
      done_(done) {
  if (!on_terminal_) return;
  const std::lock_guard lock(bar_line().mutex);
  bar_line().bars.push_back(this);
}

Progress::~Progress() {
  if (!on_terminal_) return;
  const std::lock_guard lock(bar_line().mutex);
  std::erase(bar_line().bars, this);
  write(kClear);
}

void Progress::update(int done, const std::string& note) {
  if (!on_terminal_) return;
  const std::lock_guard lock(bar_line().mutex);
  done_ = done;
  note_ = note;
  const auto now = Clock::now();
  if (done < total_ && now - bar_line().drawn < std::chrono::milliseconds(100)) return;
  bar_line().drawn = now;
  draw();
}

void Progress::draw() {
  const auto& bars = bar_line().bars;
  std::string text = kClear + (bars.size() == 1 ? bars.front()->text() : "");
  for (size_t i = 0; i < bars.size() && bars.size() > 1; ++i) {
    text += (i == 0 ? "" : "   ") + bars[i]->short_text();
  }
  write(text);
}

std::string Progress::text() const {
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const double rate = (done_ - first_) / std::max(1e-9, elapsed);
  constexpr int kCells = 24;
  std::string bar(kCells, '.');
  std::fill_n(bar.begin(), kCells * done_ / std::max(1, total_), '#');
  const std::string images =
      images_per_step_ > 0 ? fmt::format("  {:.0f} images/s", rate * images_per_step_) : "";
  const std::string left =
      done_ > first_ ? "  " + duration_text((total_ - done_) / rate) + " left" : "";
  return fmt::format("{:<14} [{}] {:3} %{}{}  {}", title_, bar, percent(), images, left, note_);
}

std::string Progress::short_text() const { return fmt::format("{} {:3} %", title_, percent()); }

void say(const std::string& text) {
  const std::lock_guard lock(bar_line().mutex);
  write((bar_line().bars.empty() ? "" : kClear) + text);
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace ridgewalk
