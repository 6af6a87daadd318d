#include "experiments/machine/precision.h"

#include <gmock/gmock.h>
#include <yaml-cpp/yaml.h>

#include "tests/folder_test.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

class FasterPrecision : public FolderTest {
 protected:
  // Replaces the rates that are stored for this machine.
  void store(double fp32, double bf16) const {
    YAML::Node stored = YAML::LoadFile(file());
    ASSERT_EQ(stored.size(), 1u);
    stored.begin()->second["fp32"] = fp32;
    stored.begin()->second["bf16"] = bf16;
    std::ofstream(file()) << stored;
  }
  std::string file() const { return path("cache/precision.yaml"); }
};

TEST_F(FasterPrecision, IsMeasuredOnceAndStored) {
  const DataType measured = faster_precision(file(), true);
  const YAML::Node rates = YAML::LoadFile(file()).begin()->second;
  EXPECT_GT(rates["fp32"].as<double>(), 0);
  EXPECT_GT(rates["bf16"].as<double>(), 0);
  EXPECT_EQ(measured, rates["bf16"].as<double>() > rates["fp32"].as<double>() ? DataType::kBf16
                                                                              : DataType::kFp32);
  EXPECT_THAT(YAML::LoadFile(file()).begin()->first.as<std::string>(), HasSubstr("LibTorch"));
  store(400, 300);
  EXPECT_EQ(faster_precision(file(), true), DataType::kFp32);
  store(400, 500);
  EXPECT_EQ(faster_precision(file(), true), DataType::kBf16);
}

TEST_F(FasterPrecision, OfAnotherMachineDoesNotCount) {
  write("cache/precision.yaml", "Other CPU, LibTorch 0.1, oneDNN 0.1: {fp32: 1, bf16: 2}\n");
  faster_precision(file(), true);
  EXPECT_EQ(YAML::LoadFile(file()).size(), 2u);
}

TEST_F(FasterPrecision, IsMeasuredWhereNothingCanBeReadOrWritten) {
  write("cache/precision.yaml", "[1, 2\n");
  const DataType measured = faster_precision(file(), true);
  EXPECT_THAT(measured, testing::AnyOf(DataType::kFp32, DataType::kBf16));
  EXPECT_EQ(YAML::LoadFile(file()).size(), 1u);
  faster_precision("/dev/null/precision.yaml", true);
  faster_precision("", true);
}

}  // namespace
}  // namespace ridgewalk
