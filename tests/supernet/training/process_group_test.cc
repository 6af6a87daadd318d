#include "supernet/training/process_group.h"

#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "space/decisions.h"
#include "space/lowering.h"
#include "supernet/training/nccl_exchange.h"
#include "supernet/training/step_exchange.h"
#include "tests/helpers.h"
#include "tests/supernet/group_of_threads.h"

namespace ridgewalk {
namespace {

using std::chrono::steady_clock;
using testing::ElementsAre;

double seconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

TEST(ProcessGroups, GiveEachWhatTheOthersHave) {
  for (int size : {2, 3}) {
    in_group(size, [&](const std::shared_ptr<ProcessGroup>& group) {
      const int rank = group->rank();
      const std::vector<int64_t> all = group->gathered(10 * rank);
      ASSERT_EQ(int(all.size()), size);
      for (int r = 0; r < size; ++r) EXPECT_EQ(all[size_t(r)], 10 * r);
      EXPECT_TRUE(group->any(rank == 1));
      EXPECT_FALSE(group->any(false));
      EXPECT_EQ(group->carrier(torch::kCPU), torch::Device(torch::kCPU));
      EXPECT_EQ(group->carrier({torch::kCUDA, 1}),
                has_nccl() ? torch::Device(torch::kCUDA, 1) : torch::Device(torch::kCPU));
      EXPECT_EQ(group->from_first(7 + rank, true), 7);
      EXPECT_EQ(group->from_first(rank == 0 ? std::string("a\0b", 3) : ""), std::string("a\0b", 3));
      EXPECT_EQ(group->from_first(rank == 0 ? "" : "other"), "");
      // Process r gives r + 1 numbers, the last process none.
      std::vector<int64_t> sizes;
      for (int r = 0; r < size; ++r) sizes.push_back(r + 1 < size ? r + 1 : 0);
      const auto own = torch::full({sizes[size_t(rank)]}, double(rank), torch::kDouble);
      const auto exchanged = group->exchanged(own, sizes);
      for (int r = 0; r < size; ++r) {
        EXPECT_TRUE(torch::equal(exchanged[size_t(r)],
                                 torch::full({sizes[size_t(r)]}, double(r), torch::kDouble)));
      }
      group->leave();
    });
  }
}

TEST(ProcessGroups, EndAtOnceWhenAProcessEnds) {
  const auto start = steady_clock::now();
  EXPECT_THROW(in_group(2,
                        [](const std::shared_ptr<ProcessGroup>& group) {
                          group->any(false);
                          if (group->is_first()) group->any(false);
                        }),
               GroupLost);
  EXPECT_LT(seconds_since(start), 20);  // of a timeout of 60
}

TEST(ProcessGroups, EndAfterTheirTimeoutWhenAProcessIsSilent) {
  std::atomic<bool> ended = false;
  const auto start = steady_clock::now();
  try {
    in_group(
        2,
        [&](const std::shared_ptr<ProcessGroup>& group) {
          group->any(false);
          while (!group->is_first() && !ended) std::this_thread::yield();
          if (!group->is_first()) return;
          try {
            group->any(false);
          } catch (...) {
            ended = true;
            throw;
          }
        },
        std::chrono::seconds(2));
    FAIL() << "nothing was thrown";
  } catch (const GroupLost& lost) {
    EXPECT_STREQ(lost.what(), "another of the 2 processes has ended, or has not answered for 2 s");
  }
  EXPECT_GT(seconds_since(start), 1.5);
  EXPECT_LT(seconds_since(start), 30);
}

TEST(Pieces, AreDealtInTurnsOrByCost) {
  EXPECT_THAT(dealt(3, nullptr), ElementsAre(0, 1, 2));
  in_group(2, [](const std::shared_ptr<ProcessGroup>& group) {
    if (group->is_first()) {
      EXPECT_THAT(dealt(5, group.get()), ElementsAre(0, 2, 4));
    } else {
      EXPECT_THAT(dealt(5, group.get()), ElementsAre(1, 3));
    }
    group->leave();
  });
  // 5 to the first, 4 to the second, 3 to the second (7), 2 to the first (7), 1 to the first.
  const std::vector<int64_t> costs{3, 5, 1, 4, 2};
  EXPECT_THAT(balanced_owners(costs, 2), ElementsAre(1, 0, 0, 1, 0));
  EXPECT_THAT(balanced_owners(costs, 1), ElementsAre(0, 0, 0, 0, 0));
}

// A network of two convolutions, and a step of three pieces: two see all of the first one's
// weights, one a slice.
TEST(Pieces, AreSummedInEveryProcess) {
  const Graph graph = lower(architecture_from_yaml(
      "name: net\nresolution: 8\nchannels: 1\nclasses: 3\n"
      "stem: {block: conv, kernel: 3, stride: 2, width: 8}\n"
      "stages: [[{block: conv, kernel: 1, stride: 1, width: 6}]]\nhead: {features: 4}\n",
      "net.yaml"));
  for (int size : {1, 2, 3, 5}) {
    in_group(size, [&](const std::shared_ptr<ProcessGroup>& group) {
      ParameterStore store(graph);
      const std::string name = store.parameters()[0].name;
      const std::vector<int64_t> whole = store.parameters()[0].shape;
      std::vector<int64_t> part = whole;
      part[0] = 2;
      std::vector<StepPiece> pieces;
      for (int k = 0; k < 3; ++k) {
        const int owner = k % size;
        const bool is_own = owner == group->rank();
        StepPiece piece{.owner = owner, .values = {torch::full({}, is_own ? 10.0 + k : -1)}};
        for (const Parameter& parameter : store.parameters()) {
          if (!is_learned(parameter.role)) continue;
          const bool is_slice = parameter.name == name && k == 1;
          torch::Tensor leaf =
              store.slice(parameter.name, is_slice ? part : parameter.shape, size_t(k));
          // Neighbours of 1e8 are 8 apart in fp32: (1e8 + 5) + (16 - 1e8) is 24, and in another
          // order 21.
          const double gradients[] = {1e8, 5, 16 - 1e8};
          if (is_own) leaf.mutable_grad() = torch::full(leaf.sizes(), gradients[k]);
          piece.leaves.push_back(leaf);
        }
        pieces.push_back(piece);
      }
      sum_gradients(*group, pieces, store);
      for (int k = 0; k < 3; ++k) EXPECT_EQ(pieces[size_t(k)].values[0].item<double>(), 10 + k);
      const torch::Tensor grads = store.grads().clone();
      EXPECT_EQ(grads.numel(), store.learned());
      const auto of_first = grads.narrow(0, 0, store.parameters()[0].elements()).view(whole);
      EXPECT_TRUE(
          torch::equal(of_first.narrow(0, 0, 2), torch::full_like(of_first.narrow(0, 0, 2), 24)));
      EXPECT_TRUE(torch::equal(of_first.narrow(0, 2, whole[0] - 2),
                               torch::full_like(of_first.narrow(0, 2, whole[0] - 2), 16)));
      EXPECT_EQ(
          grads.narrow(0, of_first.numel(), grads.numel() - of_first.numel()).min().item<double>(),
          24);
      EXPECT_EQ(store.used().sum().item<int64_t>(), store.decayed());
      group->leave();
    });
  }
}

TEST(Pieces, AreAddedInPartsOfWholeParameters) {
  const ParameterStore store(load_search_space("fashion-mnist-small"));
  const std::vector<int64_t> bounds = part_bounds(store, 4);
  ASSERT_EQ(bounds.size(), 5u);
  EXPECT_EQ(bounds.front(), 0);
  EXPECT_EQ(bounds.back(), store.learned());
  int64_t largest = 0;
  for (const Parameter& parameter : store.parameters()) {
    if (!is_learned(parameter.role)) continue;
    largest = std::max(largest, parameter.elements());
    const int64_t begin = store.full(parameter.name).storage_offset();
    for (int64_t bound : bounds) {
      EXPECT_FALSE(begin < bound && bound < begin + parameter.elements()) << parameter.name;
    }
  }
  for (size_t r = 0; r < 4; ++r) {
    EXPECT_LE(std::abs(bounds[r + 1] - bounds[r] - store.learned() / 4), largest);
  }
}

TEST(ProcessGroups, SayWhereTheyCannotMeet) {
  expect_error(
      [] {
        const int port = free_port();
        const int taken = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(uint16_t(port));
        ASSERT_EQ(::bind(taken, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        ASSERT_EQ(::listen(taken, 1), 0);
        try {
          const ProcessGroup group({0, 2, "127.0.0.1", port}, std::chrono::seconds(1));
        } catch (...) {
          ::close(taken);
          throw;
        }
      },
      "the 2 processes cannot meet at 127.0.0.1:", "MASTER_PORT");
}

}  // namespace
}  // namespace ridgewalk
