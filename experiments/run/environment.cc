#include "experiments/run/environment.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include "space/file.h"
#include "supernet/formats/onnx.h"
#include "supernet/inference/peaks.h"
#include "supernet/network/libraries.h"

namespace ridgewalk {
namespace {

std::string compiler() {
#if defined(__clang__)
  return fmt::format("Clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("GCC {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

// Those of the first core that /proc/cpuinfo lists ("flags" of x86, "Features" of Arm).
std::string cpu_features() {
  const std::vector<std::string> telling = {"avx2",        "fma",         "avx_vnni",    "avx512f",
                                            "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile",
                                            "amx_int8",    "amx_bf16",    "asimd",       "asimddp",
                                            "i8mm",        "bf16",        "sve",         "sve2"};
  std::ifstream info("/proc/cpuinfo");
  std::string features;
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("flags", 0) != 0 && line.rfind("Features", 0) != 0) continue;
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      if (std::count(telling.begin(), telling.end(), word) == 0) continue;
      features += (features.empty() ? "" : " ") + word;
    }
    break;
  }
  return features;
}

}  // namespace

std::string gpu_names(const std::string& driver) {
  std::vector<std::string> names;
  std::error_code no_driver;
  for (const auto& gpu : std::filesystem::directory_iterator(driver + "/gpus", no_driver)) {
    std::ifstream information(gpu.path() / "information");
    for (std::string line; std::getline(information, line);) {
      if (line.rfind("Model:", 0) != 0) continue;
      names.push_back(line.substr(std::min(line.size(), line.find_first_not_of(" \t", 6))));
    }
  }
  std::sort(names.begin(), names.end());
  return fmt::format("{}", fmt::join(names, ", "));
}

std::vector<std::pair<std::string, std::string>> environment(int threads) {
  std::vector<std::pair<std::string, std::string>> all = {
      {"ridgewalk", RIDGEWALK_VERSION}, {"compiler", compiler()},
      {"libtorch", libtorch_version()}, {"onednn", onednn_version()},
      {"onnx", onnx_version()},         {"cpu", cpu_name()},
      {"cpu_features", cpu_features()}, {"threads", std::to_string(threads)}};
  if (const std::string gpus = gpu_names(); !gpus.empty()) all.emplace_back("gpus", gpus);
  return all;
}

void record_environment(const std::string& path) {
  YAML::Emitter now;
  now << YAML::BeginSeq << YAML::BeginMap;
  for (const auto& [name, value] : environment(at::get_num_threads())) {
    now << YAML::Key << name << YAML::Value << value;
  }
  now << YAML::EndMap << YAML::EndSeq;
  const std::string entry = std::string(now.c_str()) + "\n";
  const std::string before = std::filesystem::exists(path) ? read_file(path) : "";
  const bool is_last = before.size() >= entry.size() &&
                       before.compare(before.size() - entry.size(), entry.size(), entry) == 0;
  if (!is_last) write_file(path, before + entry);
}

void add_environment(const std::string& path, const std::string& text) {
  const std::string before = std::filesystem::exists(path) ? read_file(path) : "";
  std::string all = before;
  for (size_t begin = 0, end; begin < text.size(); begin = end) {
    const size_t next = text.find("\n- ", begin);
    end = next == std::string::npos ? text.size() : next + 1;
    const std::string entry = text.substr(begin, end - begin);
    if (all.find(entry) == std::string::npos) all += entry;
  }
  if (all != before) write_file(path, all);
}

}  // namespace ridgewalk
