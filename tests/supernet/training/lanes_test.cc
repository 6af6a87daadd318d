#include "supernet/training/lanes.h"

#include <atomic>
#include <chrono>
#include <latch>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace ridgewalk {
namespace {

TEST(Lanes, DoEveryPieceOnce) {
  for (int lanes : {1, 2, 3, 8}) {
    for (int64_t count : {0, 1, 2, 7}) {
      std::vector<int> done(static_cast<size_t>(count));
      in_lanes(lanes, count, [&](int64_t piece) { ++done[size_t(piece)]; });
      EXPECT_EQ(done, std::vector<int>(static_cast<size_t>(count), 1)) << lanes;
    }
  }
}

// Each piece waits for the other one: with fewer threads this would never end.
TEST(Lanes, RunPiecesAtTheSameTime) {
  std::latch both(2);
  in_lanes(2, 2, [&](int64_t) { both.arrive_and_wait(); });
  std::latch all(3);
  in_lanes(3, 3, [&](int64_t) { all.arrive_and_wait(); });
}

TEST(Lanes, AreNeverMoreThanAskedFor) {
  std::atomic<int> running = 0, most = 0;
  in_lanes(2, 12, [&](int64_t) {
    const int now = ++running;
    for (int before = most; before < now && !most.compare_exchange_weak(before, now);) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    --running;
  });
  EXPECT_LE(most, 2);
}

// Piece 2 is under way when piece 1 throws; it is told to stop, and none is begun after it.
TEST(Lanes, RethrowWhatWasThrownFirstAndBeginNoFurtherPiece) {
  std::latch both(2);
  std::atomic<int> begun = 0;
  std::stop_source stop;
  const auto work = [&](int64_t piece) {
    ++begun;
    if (piece == 0) return;
    both.arrive_and_wait();
    if (piece == 1) throw std::runtime_error("piece 1");
    while (!stop.stop_requested()) std::this_thread::yield();
    throw std::runtime_error("piece 2, because of it");
  };
  try {
    in_lanes(2, 100, work, stop);
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "piece 1");
  }
  EXPECT_EQ(begun, 3);
}

// A lane that asked LibTorch for more threads than it was given would wait at their barriers.
TEST(Lanes, UseAsManyThreadsAsTheyWereGiven) {
  const int before = at::get_num_threads();
  for (int threads : {1, 2}) {
    set_threads(threads);
    std::vector<int> used(4);
    in_lanes(2, 4, [&](int64_t piece) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // so that both lanes take some
      used[size_t(piece)] = at::get_num_threads();
    });
    EXPECT_EQ(used, std::vector<int>(4, threads));
  }
  set_threads(before);
}

}  // namespace
}  // namespace ridgewalk
