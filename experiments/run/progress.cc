#include "experiments/run/progress.h"

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

namespace ridgewalk {

Progress::Progress(std::string title, int done, int total, double images_per_step, bool quiet)
    : title_(std::move(title)),
      first_(done),
      total_(total),
      images_per_step_(images_per_step),
      on_terminal_(!quiet && isatty(STDERR_FILENO)) {}

Progress::~Progress() {
  if (on_terminal_) std::fputs("\r\033[K", stderr);
}

void Progress::update(int done, const std::string& note) {
  if (!on_terminal_) return;
  const auto now = Clock::now();
  if (done < total_ && now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double rate = (done - first_) / std::max(1e-9, elapsed);
  constexpr int kCells = 24;
  std::string bar(kCells, '.');
  std::fill_n(bar.begin(), kCells * done / std::max(1, total_), '#');
  const std::string images =
      images_per_step_ > 0 ? fmt::format("  {:.0f} images/s", rate * images_per_step_) : "";
  const std::string left =
      done > first_ ? "  " + duration_text((total_ - done) / rate) + " left" : "";
  say(fmt::format("\r\033[K{:<14} [{}] {:3} %{}{}  {}", title_, bar,
                  100 * done / std::max(1, total_), images, left, note));
}

void say(const std::string& text) {
  std::fputs(text.c_str(), stderr);  // fmt::print() would throw
  std::fflush(stderr);
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace ridgewalk
