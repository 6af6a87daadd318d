// Loops over independent pieces of an op, in which threads that have nothing else to do take part.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>

#include <ATen/Parallel.h>

namespace ridgewalk {

// A piece's place in the order of a loop: what is added up in turns has the bits of one thread.
class Turn {
 public:
  Turn() = default;  // in a loop that nobody shares
  Turn(const std::atomic<int>* before, std::atomic<int>* own) : before_(before), own_(own) {}

  // Waits until the piece before this one has ended.
  void wait() const { wait(kEnd - 1); }
  // The same of one step of several, which each piece passes in ascending order from 0.
  void wait(int step) const;
  void pass(int step) const { advance(step + 1); }
  void end() const { advance(kEnd); }

 private:
  static constexpr int kEnd = 1 << 30;
  void advance(int steps) const;

  const std::atomic<int>* before_ = nullptr;  // steps that the piece before has passed
  std::atomic<int>* own_ = nullptr;
};

// One call of for_pieces(): its thread opens it to others when some are idle.
class SharedLoop {
 public:
  using Run = std::function<void(int64_t begin, int64_t end, const Turn& turn)>;
  SharedLoop(int64_t count, int64_t grain, Run run);
  void run();
  // Of another thread, which the board has let in.
  void help();

 private:
  friend class LoopBoard;
  void take_pieces(bool is_own);
  void open(int64_t piece);
  Turn turn_of(int64_t piece) const;

  const int64_t count_, grain_, pieces_;
  const Run run_;
  std::atomic<int64_t> next_ = 0;
  int64_t first_shared_ = 0;
  std::unique_ptr<std::atomic<int>[]> passed_;  // by piece from first_shared_ - 1 on
  std::atomic<int> guests_ = 0;
  std::atomic_flag failed_;
  std::exception_ptr error_;
};

// Calls run(begin, end, turn) for pieces of [0, count), of `grain` or more. With one thread of
// LibTorch's, pieces are begun in ascending order, and lanes without work (training/lanes.h) take
// some of them. With more, each has one part of the range, as in at::parallel_for(), and turns are
// not waited for.
template <class Run>
void for_pieces(int64_t count, int64_t grain, const Run& run) {
  if (at::get_num_threads() == 1) return SharedLoop(count, grain, std::cref(run)).run();
  at::parallel_for(0, count, grain, [&](int64_t begin, int64_t end) { run(begin, end, Turn()); });
}

// Takes pieces of loops that other threads run, until it `is_over`; whoever ends it calls
// wake_helpers().
void help_with_loops(const std::function<bool()>& is_over);
void wake_helpers();

// How many pieces other threads than a loop's own have taken since the program started.
int64_t pieces_of_helpers();

}  // namespace ridgewalk
