// Which of the workers leads.
#include <csignal>

#include "tests/experiments/run/work_folder_fixture.h"

namespace ridgewalk {
namespace {

using Leader = WorkFolder::Leader;

class Lead : public Work {
 protected:
  // A process that leads until it is killed; it does already.
  pid_t leading_process(double lease) const {
    const pid_t child = process([&] {
      const auto own = worker(lease);
      if (own->leader() != Leader::kThis) return 1;
      std::ofstream(path("leads")) << "yes";
      for (;;) pause();
    });
    soon([&] { return fs::exists(path("leads")); });
    return child;
  }
};

TEST_F(Lead, OneLeadsUntilItIsKilled) {
  const pid_t child = leading_process(kSafe);
  const auto second = worker(kSafe);
  // The one that leads is seen at work.
  soon([&] { return second->leader() == Leader::kAnother; });
  kill(child, SIGKILL);
  EXPECT_EQ(end_of(child), -SIGKILL);
  soon([&] { return second->leader() == Leader::kThis; });
  EXPECT_EQ(second->leader(), Leader::kThis);
  EXPECT_NE(worker(kShort)->leader(), Leader::kThis);
}

TEST_F(Lead, WhoWasThereWhenAllWasFinishedDoesNotLead) {
  auto first = worker();
  const auto second = worker();
  EXPECT_EQ(first->leader(), Leader::kThis);
  EXPECT_EQ(second->leader(), Leader::kUnknown);
  first->finish_lead();
  first.reset();
  EXPECT_EQ(second->leader(), Leader::kFinished);
  // Somebody who gives the command again later wants it done.
  EXPECT_EQ(worker()->leader(), Leader::kThis);
}

TEST_F(Lead, ALeaderThatIsRobbedLeadsNoMore) {
  const auto first = worker();
  ASSERT_EQ(first->leader(), Leader::kThis);
  fs::rename(only("leader.", ".taken"), inside("leader.9-0123456789abcdef.taken"));
  EXPECT_EQ(first->leader(), Leader::kUnknown);
  first->finish_lead();
  EXPECT_FALSE(fs::exists(inside("leader.1.finished")));
}

// One that looks before and after a long trial has not seen that the leader died in between.
TEST_F(Lead, ALeaderThatDiedWhileNobodyLookedIsNotTakenForAlive) {
  const pid_t child = leading_process(kShort);
  const auto second = worker(kShort);
  second->leader();
  std::this_thread::sleep_for(std::chrono::duration<double>(3 * kShort));
  kill(child, SIGKILL);
  EXPECT_EQ(end_of(child), -SIGKILL);
  EXPECT_NE(second->leader(), Leader::kAnother);
  soon([&] { return second->leader() == Leader::kThis; });
}

}  // namespace
}  // namespace ridgewalk
