#include "experiments/machine/resources.h"

#include <sched.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "space/error.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

// Files as the kernel shows them, under a folder of their own.
class ControlGroups : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "control_groups_XXXXXX";
    root_ = mkdtemp(name.data());
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  std::string root_;
};

TEST_F(ControlGroups, OfVersion2LimitTheirMembers) {
  write("/proc/self/cgroup", "0::/user/job\n");
  EXPECT_EQ(cpu_quota(root_), std::nullopt);
  EXPECT_EQ(memory_left(root_), std::nullopt);
  write("/sys/fs/cgroup/user/job/cpu.max", "max 100000\n");
  write("/sys/fs/cgroup/user/job/memory.max", "max\n");
  write("/sys/fs/cgroup/user/job/memory.current", "600000\n");
  EXPECT_EQ(cpu_quota(root_), std::nullopt);
  EXPECT_EQ(memory_left(root_), std::nullopt);
  // The group around it counts as well.
  write("/sys/fs/cgroup/user/cpu.max", "150000 100000\n");
  write("/sys/fs/cgroup/user/memory.max", "1000000\n");
  write("/sys/fs/cgroup/user/memory.current", "700000\n");
  write("/sys/fs/cgroup/user/memory.stat", "anon 500000\nfile 200000\ninactive_file 100000\n");
  EXPECT_EQ(cpu_quota(root_), 1.5);
  EXPECT_EQ(memory_left(root_), 400000);
}

TEST_F(ControlGroups, OfVersion1LimitTheirMembers) {
  // In a container the path is the host's; here only the root of the hierarchy is to be seen.
  write("/proc/self/cgroup", "5:memory:/docker/1f\n4:cpu,cpuacct:/docker/1f\n0::/\n");
  const std::string cpu = "/sys/fs/cgroup/cpu,cpuacct/", memory = "/sys/fs/cgroup/memory/";
  write(cpu + "cpu.cfs_quota_us", "-1\n");
  write(cpu + "cpu.cfs_period_us", "100000\n");
  write(memory + "memory.limit_in_bytes", "9223372036854771712\n");
  write(memory + "memory.usage_in_bytes", "5000\n");
  EXPECT_EQ(cpu_quota(root_), std::nullopt);
  EXPECT_EQ(memory_left(root_), std::nullopt);
  write(cpu + "cpu.cfs_quota_us", "200000\n");
  write(memory + "memory.limit_in_bytes", "8000\n");
  write(memory + "memory.stat", "inactive_file 7\ntotal_inactive_file 500\n");
  EXPECT_EQ(cpu_quota(root_), 2);
  EXPECT_EQ(memory_left(root_), 3500);
}

// `taskset -c 0`.
TEST(UsableCores, AreThoseOfTheAffinity) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), CPU_COUNT(&before));
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &before)) continue;
    CPU_SET(cpu, &one);
    break;
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(usable_cores(), 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

TEST(RequireMemory, RefusesWhatDoesNotFitWithTheFigures) {
  const auto available = available_memory();
  ASSERT_TRUE(available.has_value());
  EXPECT_GT(*available, 1 << 20);
  EXPECT_NO_THROW(require_memory("'small'", {.weights = 1024, .activations = 1024}, ""));
  try {
    require_memory("'huge'",
                   {.weights = 0x1p40, .activations = 3 * 0x1p40, .attention_scores = 0x1p41},
                   "take a smaller --batch");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("'huge' needs about 4096.0 GiB of memory (weights 1024.0, "
                                        "activations 3072.0, of them attention scores 2048.0)"));
    EXPECT_THAT(error.what(), HasSubstr("GiB are available; take a smaller --batch"));
  }
  EXPECT_NO_THROW(require_memory("small labels", 1024, ""));
  try {
    require_memory("huge labels", 0x1p42, "give fewer --replicas");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("huge labels need about 4096.0 GiB of memory and "));
    EXPECT_THAT(error.what(), HasSubstr("GiB are available; give fewer --replicas"));
  }
}

}  // namespace
}  // namespace ridgewalk
