// Every test draws the same random numbers, alone or after others: LibTorch begins with another
// seed in each process.
#include <ATen/Context.h>
#include <gtest/gtest.h>

namespace {

class Seeding : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override { at::manual_seed(1); }
};

[[maybe_unused]] const bool kIsSeeded = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new Seeding);
  return true;
}();

}  // namespace
