// ridgewalk as one of the peers that tests/bench/peers/run lets take turns.
//
//   ridgewalk_peers_bench sample SPACE SEED                 a random member of a space, as YAML
//   ridgewalk_peers_bench train|infer ARCH RESOLUTION BATCH PRECISION THREADS    int8 only infers
// The latter says "ready" and then answers every line on standard input with the median of the
// milliseconds that a training step (or a run) took in half a second of them.
#include <chrono>
#include <functional>
#include <iostream>

#include <ATen/Parallel.h>

#include "search/candidates.h"
#include "space/catalog.h"
#include "space/file.h"
#include "space/lowering.h"
#include "supernet/inference/timing.h"
#include "supernet/network/memory.h"
#include "supernet/quantization/random_ranges.h"
#include "supernet/training/train.h"

namespace ridgewalk {
namespace {

struct Task {
  Architecture architecture;
  int batch = 1;
  DataType precision = DataType::kFp32;
};

void answer(const std::function<void()>& once) {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 3; ++i) once();
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::vector<double> milliseconds;
    for (double sum = 0; sum < 500 || milliseconds.size() < 3;) {
      const auto start = Clock::now();
      once();
      milliseconds.push_back(
          std::chrono::duration<double, std::milli>(Clock::now() - start).count());
      sum += milliseconds.back();
    }
    std::ranges::sort(milliseconds);
    std::cout << milliseconds[milliseconds.size() / 2] << std::endl;
  }
}

// AdamW, cross entropy, images in memory as bytes, nothing augmented or dropped.
void train(const Task& task) {
  const Architecture& network = task.architecture;
  const auto set = [&](int64_t count) {
    const int size = network.resolution;
    return ImageSet{torch::randint(256, {count, size, size, network.channels}, torch::kUInt8),
                    torch::randint(network.classes, {count}, torch::kLong)};
  };
  const Dataset data{.name = "random",
                     .train = set(16 * task.batch),
                     .search_validation = set(16),
                     .test = set(16),
                     .classes = network.classes,
                     .channels = network.channels,
                     .resolution = network.resolution};
  const TrainOptions options{.epochs = 1 << 20,
                             .batch_size = task.batch,
                             .label_smoothing = 0,
                             .drop_path = 0,
                             .dropout = 0};
  Trainer trainer(network, data, options, {.precision = task.precision});
  answer([&] { trainer.advance(); });
}

void infer(const Task& task) {
  Network folded = fresh_network(lower(task.architecture));
  Inference network = task.precision == DataType::kInt8
                          ? Inference(quantized_for_timing(folded), task.batch)
                          : Inference(folded, task.batch, task.precision);
  const torch::Tensor images = torch::randn(network.image_shape());
  answer([&] { network.forward(images); });
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 3 && words[0] == "sample") {
    std::mt19937_64 random(std::stoull(words[2]));
    const SearchSpace space = load_search_space(words[1]);
    std::cout << to_yaml(decode(space, sample(space, random)));
    return 0;
  }
  if (words.size() != 6) return 2;
  Task task{find_architecture(words[1]), std::stoi(words[3]), value_named<DataType>(words[4])};
  task.architecture.resolution = std::stoi(words[2]);
  at::set_num_threads(std::stoi(words[5]));
  if (words[0] == "train") train(task);
  if (words[0] == "infer") infer(task);
  return 0;
}

}  // namespace
}  // namespace ridgewalk

int main(int count, char** words) {
  ridgewalk::keep_freed_memory();  // as the program does
  return ridgewalk::run({words + 1, words + count});
}
