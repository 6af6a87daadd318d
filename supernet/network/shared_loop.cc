#include "supernet/network/shared_loop.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

namespace ridgewalk {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Counted, so that threads can wait for the next one.
std::atomic<unsigned> work_found = 0;  // for idle threads
std::atomic<unsigned> work_done = 0;   // in a loop that is shared
std::atomic<int64_t> helped = 0;       // pieces_of_helpers()

void tell(std::atomic<unsigned>& events) {
  events.fetch_add(1);
  events.notify_all();
}

// For as long as a piece may take, a thread looks again and again, since to be woken takes as long.
// Then it leaves its core to others: one of them may be what it waits for.
template <class Condition>
void await(std::atomic<unsigned>& events, const Condition& holds) {
  constexpr std::chrono::microseconds kPiece{50};
  if (holds()) return;
  for (const auto end = SteadyClock::now() + kPiece; SteadyClock::now() < end;) {
    if (holds()) return;
  }
  for (;;) {
    const unsigned seen = events.load();
    if (holds()) return;
    events.wait(seen);
  }
}

// A thread that other programs keep from its core while it has a piece stops the whole loop. So
// when a thread has waited for a long time, and much longer than it computed itself, no loop is
// shared for sixteen times as long: that is the most that help can cost on a busy machine.
std::atomic<SteadyClock::time_point> shares_from = SteadyClock::time_point::min();
thread_local SteadyClock::time_point piece_begin;  // of this thread's last one that was shared

template <class Condition>
void await_work(const Condition& holds) {
  constexpr std::chrono::milliseconds kLong{1};
  if (holds()) return;
  const auto begin = SteadyClock::now();
  await(work_done, holds);
  const auto end = SteadyClock::now();
  const auto usual = std::max<SteadyClock::duration>(kLong, 4 * (begin - piece_begin));
  if (end - begin > usual) shares_from = std::max(shares_from.load(), end + 16 * (end - begin));
}

}  // namespace

void Turn::wait(int step) const {
  if (before_ != nullptr) await_work([&] { return before_->load() > step; });
}

void Turn::advance(int steps) const {
  if (own_ == nullptr) return;
  own_->store(steps);
  tell(work_done);
}

// The loops that others may take part in.
class LoopBoard {
 public:
  bool has_idle() const {
    return idle_.load(std::memory_order_relaxed) > 0 && SteadyClock::now() > shares_from.load();
  }

  void add(SharedLoop& loop) {
    {
      const std::lock_guard lock(mutex_);
      loops_.push_back(&loop);
      count_ = loops_.size();
    }
    work_found.fetch_add(1);
    work_found.notify_one();  // who wakes the next one
  }

  void remove(SharedLoop& loop) {
    const std::lock_guard lock(mutex_);
    std::erase(loops_, &loop);
    count_ = loops_.size();
  }

  void help(const std::function<bool()>& is_over) {
    while (!is_over()) {
      SharedLoop* loop = nullptr;
      ++idle_;
      await(work_found, [&] { return (loop = entered()) != nullptr || is_over(); });
      --idle_;
      if (loop == nullptr) continue;
      work_found.notify_one();  // the loop may have enough for another one
      loop->help();
    }
  }

 private:
  // A loop that has pieces left, as its guest.
  SharedLoop* entered() {
    if (count_ == 0) return nullptr;
    const std::lock_guard lock(mutex_);
    for (SharedLoop* loop : loops_) {
      if (loop->next_ >= loop->pieces_) continue;
      ++loop->guests_;
      return loop;
    }
    return nullptr;
  }

  std::mutex mutex_;
  std::vector<SharedLoop*> loops_;
  std::atomic<size_t> count_ = 0;
  std::atomic<int> idle_ = 0;  // threads
};

namespace {
LoopBoard board;
}  // namespace

SharedLoop::SharedLoop(int64_t count, int64_t grain, Run run)
    : count_(count),
      grain_(std::max<int64_t>(1, grain)),
      pieces_((count + grain_ - 1) / grain_),
      run_(std::move(run)) {}

void SharedLoop::run() {
  take_pieces(true);
  if (passed_) {
    board.remove(*this);
    await_work([&] { return guests_ == 0; });
  }
  if (error_) std::rethrow_exception(error_);
}

void SharedLoop::help() {
  take_pieces(false);
  --guests_;  // which may be the loop's end
  tell(work_done);
}

void SharedLoop::take_pieces(bool is_own) {
  for (int64_t piece = next_++; piece < pieces_; piece = next_++) {
    if (is_own && !passed_ && piece + 1 < pieces_ && board.has_idle()) open(piece);
    const Turn turn = turn_of(piece);
    if (passed_) piece_begin = SteadyClock::now();
    if (!is_own) ++helped;
    try {
      run_(piece * grain_, std::min((piece + 1) * grain_, count_), turn);
    } catch (...) {
      if (!failed_.test_and_set()) error_ = std::current_exception();
      next_ = pieces_;
    }
    turn.wait();
    turn.end();
  }
}

void SharedLoop::open(int64_t piece) {
  first_shared_ = piece;
  passed_ = std::make_unique<std::atomic<int>[]>(size_t(pieces_ - piece + 1));
  Turn(nullptr, &passed_[0]).end();
  board.add(*this);
}

Turn SharedLoop::turn_of(int64_t piece) const {
  if (!passed_) return {};
  std::atomic<int>* before = &passed_[size_t(piece - first_shared_)];
  return {before, before + 1};
}

void help_with_loops(const std::function<bool()>& is_over) { board.help(is_over); }

void wake_helpers() { tell(work_found); }

int64_t pieces_of_helpers() { return helped; }

}  // namespace ridgewalk
