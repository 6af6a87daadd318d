// ridgewalk as one of the peers that tests/bench/peers/run lets take turns.
//
//   ridgewalk_peers_bench sample SPACE SEED                 a random member of a space, as YAML
//   ridgewalk_peers_bench images FOLDER DATA COUNT TRAINING PREFIX
//       of a quantised network, as .npy: COUNT test images as it takes them, their labels, and the
//       classes it finds; TRAINING training images
//   ridgewalk_peers_bench quantize ARCH FOLDER              fresh weights, and images.npy
//   ridgewalk_peers_bench int8|fp32 FOLDER                  of these, one image on one thread
//   ridgewalk_peers_bench train|infer ARCH RESOLUTION BATCH PRECISION THREADS
// The last two say "ready" and then answer every line on standard input with the median of the
// milliseconds that a training step (or a run) took in half a second of them; of the CPU time of
// this thread with PEERS_CLOCK=thread.
#include <ctime>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>

#include <ATen/Parallel.h>

#include "search/candidates.h"
#include "space/catalog.h"
#include "space/file.h"
#include "space/lowering.h"
#include "supernet/inference/timing.h"
#include "supernet/network/memory.h"
#include "supernet/quantization/quantized_executor.h"
#include "supernet/quantization/quantized_files.h"
#include "supernet/quantization/random_ranges.h"
#include "supernet/training/evaluate.h"
#include "supernet/training/provenance_check.h"
#include "supernet/training/train.h"

namespace ridgewalk {
namespace {

struct Task {
  Architecture architecture;
  int batch = 1;
  DataType precision = DataType::kFp32;
};

double thread_milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e3 * double(now.tv_sec) + 1e-6 * double(now.tv_nsec);
}

double clock_milliseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(now).count();
}

void answer(const std::function<void()>& once) {
  const char* const clock = std::getenv("PEERS_CLOCK");
  const bool is_of_thread = clock != nullptr && std::string(clock) == "thread";
  const auto now = is_of_thread ? thread_milliseconds : clock_milliseconds;
  for (int i = 0; i < 3; ++i) once();
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::vector<double> milliseconds;
    for (double sum = 0; sum < 500 || milliseconds.size() < 3;) {
      const double start = now();
      once();
      milliseconds.push_back(now() - start);
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
  Inference network(fresh_network(lower(task.architecture)), task.batch, task.precision);
  const torch::Tensor images = torch::randn(network.image_shape());
  answer([&] { network.forward(images); });
}

// NumPy's format, version 1.0.
void write_npy(const std::string& path, const torch::Tensor& tensor) {
  const torch::Tensor plain = tensor.contiguous();
  std::string shape;
  for (const int64_t size : plain.sizes()) shape += std::to_string(size) + ", ";
  std::string header = std::string("{'descr': '") +
                       (plain.scalar_type() == torch::kFloat ? "<f4" : "<i8") +
                       "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize((header.size() + 10) / 64 * 64 + 64 - 11, ' ');
  header += '\n';
  FileWriter out(path);
  out.write("\x93NUMPY\x01\x00", 8);
  const unsigned char length[2] = {uint8_t(header.size() & 255), uint8_t(header.size() >> 8)};
  out.write(length, 2);
  out.write(header.data(), header.size());
  out.write(plain.data_ptr(), plain.nbytes());
  out.commit();
}

void quantize(const std::string& name, const std::string& folder) {
  constexpr int kImages = 8;
  const Architecture architecture = find_architecture(name);
  Network network = fresh_network(lower(architecture));
  save_quantized(folder, architecture, quantized_for_timing(network));
  const int size = architecture.resolution;
  write_npy(folder + "/images.npy", torch::randn({kImages, architecture.channels, size, size}));
}

void infer_one(const std::string& folder, bool is_int8) {
  at::set_num_threads(1);
  const Architecture architecture = load_architecture(folder + "/architecture.yaml");
  const torch::Tensor image =
      torch::randn({1, architecture.channels, architecture.resolution, architecture.resolution});
  Inference network = is_int8 ? Inference(load_quantized(folder), 1)
                              : Inference(fresh_network(lower(architecture)), 1, DataType::kFp32);
  answer([&] { network.forward(image); });
}

void write_images(const std::string& folder, const std::string& data_name, int64_t count,
                  int64_t training_count, const std::string& prefix) {
  at::set_num_threads(1);
  const QuantizedExecutor network(load_quantized(folder));
  const Graph& graph = network.network().quantized.graph;
  Dataset data = load_dataset(data_name, 0, 0, {.resolution = graph.ops[0].output.height});
  if (network.network().provenance) normalize_as(*network.network().provenance, data);
  const auto pass = [&](const ImageSet& set, int64_t most, const LogitsOf& logits_of) {
    evaluate(logits_of, graph, data, set, {}, {.batch_size = 100, .most = most});
  };
  std::vector<torch::Tensor> images, classes, training;
  pass(data.test, count, [&](const torch::Tensor& batch) {
    images.push_back(batch.contiguous());
    const torch::Tensor logits = network.forward(batch);
    classes.push_back(logits.argmax(1));
    return logits;
  });
  pass(data.train, training_count, [&](const torch::Tensor& batch) {
    training.push_back(batch.contiguous());
    return torch::zeros({batch.size(0), graph.ops.back().output.channels});
  });
  std::vector<int64_t> labels;
  const int64_t size = data.test.size();
  for (int64_t n = 0; n < std::min(size, count); ++n) {
    labels.push_back(data.test.labels.data_ptr<int64_t>()[n * size / std::min(size, count)]);
  }
  write_npy(prefix + "labels.npy", torch::tensor(labels));
  write_npy(prefix + "images.npy", torch::cat(images));
  write_npy(prefix + "classes.npy", torch::cat(classes));
  write_npy(prefix + "training.npy", torch::cat(training));
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 3 && words[0] == "sample") {
    std::mt19937_64 random(std::stoull(words[2]));
    const SearchSpace space = load_search_space(words[1]);
    std::cout << to_yaml(decode(space, sample(space, random)));
    return 0;
  }
  if (words.size() == 6 && words[0] == "images") {
    write_images(words[1], words[2], std::stoll(words[3]), std::stoll(words[4]), words[5]);
    return 0;
  }
  if (words.size() == 3 && words[0] == "quantize") {
    quantize(words[1], words[2]);
    return 0;
  }
  if (words.size() == 2 && (words[0] == "int8" || words[0] == "fp32")) {
    infer_one(words[1], words[0] == "int8");
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
