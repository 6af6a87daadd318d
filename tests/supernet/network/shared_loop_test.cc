#include "supernet/network/shared_loop.h"

#include <chrono>
#include <functional>
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

  static constexpr int64_t kPieces = 200;

  static void work() { std::this_thread::sleep_for(std::chrono::microseconds(300)); }

  // A piece that takes time, and notes its thread.
  void work_here() {
    work();
    const std::lock_guard lock(mutex_);
    threads_.insert(std::this_thread::get_id());
  }

  // Calls `loop` in one of so many lanes, again until all have run pieces: on a machine that does
  // other work a thread may be late.
  void until_all_take_part(int lanes, const std::function<void()>& loop) {
    in_lanes(lanes, 1, [&](int64_t) {
      for (int turn = 0; turn < 200 && threads_.size() < size_t(lanes); ++turn) {
        threads_.clear();
        loop();
      }
    });
    EXPECT_EQ(threads_.size(), size_t(lanes));
  }

  static std::vector<int64_t> ascending() {
    std::vector<int64_t> list(kPieces);
    std::iota(list.begin(), list.end(), 0);
    return list;
  }

  std::mutex mutex_;
  std::set<std::thread::id> threads_;
};

TEST_F(SharedLoops, CoverTheRangeOnce) {
  for (int lanes : {1, 2, 4}) {
    const int64_t before = pieces_of_helpers();
    for (int64_t count : {0, 1, 7, 64}) {
      for (int64_t grain : {0, 1, 5, 100}) {
        std::vector<int> done(static_cast<size_t>(count));
        in_lanes(lanes, 1, [&](int64_t) {
          for_pieces(count, grain, [&](int64_t begin, int64_t end, const Turn&) {
            work();
            for (int64_t i = begin; i < end; ++i) ++done[size_t(i)];
          });
        });
        EXPECT_EQ(done, std::vector<int>(static_cast<size_t>(count), 1));
      }
    }
    EXPECT_EQ(pieces_of_helpers() > before, lanes > 1);
  }
}

TEST_F(SharedLoops, AreSharedByLanesWithoutWork) {
  until_all_take_part(
      3, [&] { for_pieces(kPieces, 1, [&](int64_t, int64_t, const Turn&) { work_here(); }); });
}

TEST_F(SharedLoops, TakeTurnsInTheOrderOfThePieces) {
  until_all_take_part(3, [&] {
    std::vector<int64_t> order;
    for_pieces(kPieces, 1, [&](int64_t begin, int64_t, const Turn& turn) {
      work_here();
      turn.wait();
      order.push_back(begin);
    });
    EXPECT_EQ(order, ascending());
  });
}

// While one piece is at its second step, the next one may be at its first.
TEST_F(SharedLoops, TakeTurnsInEachStep) {
  until_all_take_part(2, [&] {
    std::vector<int64_t> order[2];
    for_pieces(kPieces, 1, [&](int64_t begin, int64_t, const Turn& turn) {
      for (int step : {0, 1}) {
        turn.wait(step);
        work_here();
        order[step].push_back(begin);
        turn.pass(step);
      }
    });
    for (const auto& one : order) EXPECT_EQ(one, ascending());
  });
}

TEST_F(SharedLoops, RethrowWhatAPieceThrows) {
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

TEST_F(SharedLoops, RethrowWhatAHelperThrows) {
  bool has_thrown = false;
  for (int turn = 0; turn < 200 && !has_thrown; ++turn) {
    try {
      in_lanes(2, 1, [&](int64_t) {
        for_pieces(kPieces, 1, [own = std::this_thread::get_id()](int64_t, int64_t, const Turn&) {
          work();
          if (std::this_thread::get_id() != own) throw std::runtime_error("bad");
        });
      });
    } catch (const std::runtime_error&) {
      has_thrown = true;
    }
  }
  EXPECT_TRUE(has_thrown);
}

}  // namespace
}  // namespace ridgewalk
