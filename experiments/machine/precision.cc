#include "experiments/machine/precision.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "experiments/run/progress.h"
#include "space/catalog.h"
#include "space/error.h"
#include "space/file.h"
#include "space/lowering.h"
#include "space/yaml.h"
#include "supernet/inference/peaks.h"
#include "supernet/network/executor.h"
#include "supernet/network/libraries.h"
#include "supernet/network/precision.h"

namespace ridgewalk {
namespace {

constexpr int kBatch = 32;
constexpr int kRounds = 3;  // of which the fastest counts

// Of this thread, so that what else the machine does counts less.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

// Forward and backward.
double seconds_of_step(const Executor& network, const torch::Tensor& images, DataType precision) {
  const double start = cpu_seconds();
  torch::Tensor logits;
  {
    const Autocast autocast(precision, torch::kCPU);
    logits = network.forward(images, NormMode::kTraining);
  }
  logits.to(torch::kFloat).square().mean().backward();
  return cpu_seconds() - start;
}

// What the rates depend on.
std::string machine_key() {
  return fmt::format("{}, LibTorch {}, oneDNN {}", cpu_name(), libtorch_version(),
                     onednn_version());
}

// The rates by machine_key(); empty where there are none that can be read.
YAML::Node stored_rates(const std::string& file) {
  try {
    if (!file.empty() && path_exists(file)) {
      const YAML::Node stored = parse_yaml(read_file(file), file).node;
      if (stored.IsMap()) return stored;
    }
  } catch (const Error&) {  // measured again
  }
  return YAML::Node(YAML::NodeType::Map);
}

std::optional<TrainingRates> find_rates(const YAML::Node& stored, const std::string& key) {
  try {
    const YAML::Node rates = stored[key];
    if (rates) return TrainingRates{rates["fp32"].as<double>(), rates["bf16"].as<double>()};
  } catch (const YAML::Exception&) {
  }
  return std::nullopt;
}

void store(const std::string& file, YAML::Node stored) {
  try {
    std::error_code failed;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path(), failed);
    write_file(file, "# Training images per second, by which `--precision auto` chooses.\n" +
                         YAML::Dump(stored) + "\n");
  } catch (const std::exception&) {  // measured again the next time
  }
}

}  // namespace

TrainingRates measure_training_rates() {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  Architecture architecture = find_architecture("mnv4-conv-small");
  architecture.resolution = 64;
  const Graph graph = lower(architecture);
  ParameterStore parameters(graph, torch::kCPU);
  parameters.initialize(1);
  const Executor network(graph, parameters);
  // Not random: the generators belong to the run.
  const torch::Tensor images = torch::linspace(-1, 1, kBatch * architecture.channels * 64 * 64)
                                   .view({kBatch, architecture.channels, 64, 64})
                                   .contiguous(torch::MemoryFormat::ChannelsLast);
  TrainingRates rates;
  for (int round = 0; round <= kRounds; ++round) {  // the first one compiles kernels
    for (const auto& [precision, rate] : {std::pair(DataType::kFp32, &TrainingRates::fp32),
                                          std::pair(DataType::kBf16, &TrainingRates::bf16)}) {
      const double seconds = seconds_of_step(network, images, precision);
      if (round > 0) rates.*rate = std::max(rates.*rate, kBatch / seconds);
    }
  }
  at::set_num_threads(threads);
  return rates;
}

std::string precision_file() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (cache != nullptr && *cache != 0) return std::string(cache) + "/ridgewalk/precision.yaml";
  if (home == nullptr || *home == 0) return "";
  return std::string(home) + "/.cache/ridgewalk/precision.yaml";
}

DataType faster_precision(const std::string& file, bool quiet) {
  const std::string key = machine_key();
  std::optional<TrainingRates> rates = find_rates(stored_rates(file), key);
  if (!rates) {
    rates = measure_training_rates();
    YAML::Node stored = stored_rates(file);
    // Of two processes that measured at the same time, the first one's rates hold for both.
    if (const auto others = find_rates(stored, key)) {
      rates = others;
    } else if (!file.empty()) {
      stored[key]["fp32"] = std::round(rates->fp32);
      stored[key]["bf16"] = std::round(rates->bf16);
      store(file, stored);
    }
    if (!quiet) {
      say(fmt::format(
          "precision auto: measured {:.0f} training images/s in fp32, {:.0f} in bf16{}\n",
          rates->fp32, rates->bf16, file.empty() ? "" : "; kept in " + file));
    }
  }
  return rates->bf16 > rates->fp32 ? DataType::kBf16 : DataType::kFp32;
}

}  // namespace ridgewalk
