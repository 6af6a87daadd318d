#include "supernet/network/shared_loop.h"

#include <chrono>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "supernet/training/lanes.h"

namespace ridgewalk {
namespace {

class SharedLoops : public testing::Test {
 protected:
  void SetUp() override { set_threads(1); }

  static void work() { std::this_thread::sleep_for(std::chrono::microseconds(300)); }

  // Threads that ran pieces.
  void note_thread() {
    const std::lock_guard lock(mutex_);
    threads_.insert(std::this_thread::get_id());
  }

  std::mutex mutex_;
  std::set<std::thread::id> threads_;
};

TEST_F(SharedLoops, CoverTheRangeOnce) {
  for (int lanes : {1, 2, 4}) {
    for (int64_t count : {0, 1, 7, 64}) {
      for (int64_t grain : {0, 1, 5, 100}) {
        std::vector<int> done(static_cast<size_t>(count));
        in_lanes(lanes, 1, [&](int64_t) {
          for_pieces(count, grain, [&](int64_t begin, int64_t end, const Turn&) {
            for (int64_t i = begin; i < end; ++i) ++done[size_t(i)];
          });
        });
        EXPECT_EQ(done, std::vector<int>(static_cast<size_t>(count), 1));
      }
    }
  }
}

TEST_F(SharedLoops, AreSharedByLanesWithoutWork) {
  in_lanes(3, 1, [&](int64_t) {
    for_pieces(300, 1, [&](int64_t, int64_t, const Turn&) {
      note_thread();
      work();
    });
  });
  EXPECT_EQ(threads_.size(), 3U);
}

TEST_F(SharedLoops, AreNotSharedByOneLane) {
  in_lanes(1, 2, [&](int64_t) {
    for_pieces(20, 1, [&](int64_t, int64_t, const Turn&) { note_thread(); });
  });
  EXPECT_EQ(threads_.size(), 1U);
}

TEST_F(SharedLoops, TakeTurnsInTheOrderOfThePieces) {
  std::vector<int64_t> order;
  in_lanes(3, 1, [&](int64_t) {
    for_pieces(300, 1, [&](int64_t begin, int64_t, const Turn& turn) {
      note_thread();
      work();
      turn.wait();
      order.push_back(begin);
    });
  });
  EXPECT_EQ(threads_.size(), 3U);
  std::vector<int64_t> ascending(300);
  std::iota(ascending.begin(), ascending.end(), 0);
  EXPECT_EQ(order, ascending);
}

// While one piece is at its second step, the next one may be at its first.
TEST_F(SharedLoops, TakeTurnsInEachStep) {
  std::vector<int64_t> order[2];
  in_lanes(2, 1, [&](int64_t) {
    for_pieces(200, 1, [&](int64_t begin, int64_t, const Turn& turn) {
      note_thread();
      for (int step : {0, 1}) {
        turn.wait(step);
        work();
        order[step].push_back(begin);
        turn.pass(step);
      }
    });
  });
  EXPECT_EQ(threads_.size(), 2U);
  std::vector<int64_t> ascending(200);
  std::iota(ascending.begin(), ascending.end(), 0);
  for (const auto& one : order) EXPECT_EQ(one, ascending);
}

TEST_F(SharedLoops, RethrowWhatAPieceThrowsInAnyThread) {
  for (int64_t bad : {0, 150, 151}) {
    int64_t ended = 0;
    EXPECT_THROW(in_lanes(2, 1,
                          [&](int64_t) {
                            for_pieces(300, 1, [&](int64_t begin, int64_t, const Turn& turn) {
                              work();
                              turn.wait();
                              if (begin == bad) throw std::runtime_error("bad");
                              ++ended;
                            });
                          }),
                 std::runtime_error);
    EXPECT_GE(ended, bad);
    EXPECT_LE(ended, bad + 1) << "only what was under way ends";
  }
}

}  // namespace
}  // namespace ridgewalk
