#include "experiments/run/environment.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <torch/version.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

#include "tests/folder_test.h"

namespace ridgewalk {
namespace {

using testing::MatchesRegex;

std::map<std::string, std::string> values() {
  std::map<std::string, std::string> all;
  for (const auto& [name, value] : environment(3)) all[name] = value;
  return all;
}

TEST(Environment, TellsTheLibrariesThatAreLoaded) {
  auto seen = values();
  EXPECT_EQ(seen["libtorch"], TORCH_VERSION);
  EXPECT_THAT(seen["onednn"], MatchesRegex("[23][.][0-9]+[.][0-9]+"));
  EXPECT_THAT(seen["onnx"], MatchesRegex("1[.][0-9]+[.][0-9]+ [(]opset [0-9]+[)]"));
  EXPECT_EQ(seen["threads"], "3");
}

#if defined(__x86_64__)
// What the kernel lists is what the CPU answers to CPUID.
TEST(Environment, TellsTheExtensionsOfTheCpu) {
  const std::string features = " " + values()["cpu_features"] + " ";
  const auto has = [&](const char* name) {
    return features.find(" " + std::string(name) + " ") != std::string::npos;
  };
  EXPECT_EQ(has("avx2"), bool(__builtin_cpu_supports("avx2")));
  EXPECT_EQ(has("fma"), bool(__builtin_cpu_supports("fma")));
  EXPECT_EQ(has("avx512f"), bool(__builtin_cpu_supports("avx512f")));
  EXPECT_EQ(has("avx512_vnni"), bool(__builtin_cpu_supports("avx512vnni")));
  EXPECT_EQ(has("avx512_bf16"), bool(__builtin_cpu_supports("avx512bf16")));
}
#endif

using EnvironmentFile = FolderTest;

// As the driver writes it.
TEST_F(EnvironmentFile, NamesTheGpusOfADriver) {
  EXPECT_EQ(gpu_names(path("nothing")), "");
  for (const auto& [slot, model] : {std::pair("0000:81:00.0", "NVIDIA H100 80GB HBM3"),
                                    std::pair("0000:23:00.0", "NVIDIA A10G")}) {
    const std::string folder = path("driver/gpus/") + slot;
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/information")
        << "Model: \t\t " << model << "\nIRQ:   \t\t 47\nGPU UUID: \t GPU-0\n";
  }
  EXPECT_EQ(gpu_names(path("driver")), "NVIDIA A10G, NVIDIA H100 80GB HBM3");
}

TEST_F(EnvironmentFile, HasOneEntryForEachMachineInTurn) {
  const std::string file = path("environment.yaml");
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  record_environment(file);
  record_environment(file);
  EXPECT_EQ(YAML::LoadFile(file).size(), 1u);
  at::set_num_threads(2);
  record_environment(file);
  at::set_num_threads(threads);
  const YAML::Node entries = YAML::LoadFile(file);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0]["threads"].as<int>(), 1);
  EXPECT_EQ(entries[1]["threads"].as<int>(), 2);
  EXPECT_EQ(entries[0]["libtorch"].as<std::string>(), values()["libtorch"]);
}

}  // namespace
}  // namespace ridgewalk
