// Images per second of the loader alone, on one and two threads, by data set and augmentation.
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include "supernet/data/image_codec.h"
#include "supernet/data/loader.h"
#include "tests/image_files.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

constexpr int kBatch = 64;

Dataset random_pixels(int64_t count, int64_t side, int channels, int classes) {
  const ImageSet set{torch::randint(256, {count, side, side, channels}, torch::kUInt8),
                     torch::randint(classes, {count}, torch::kLong)};
  return {.name = "random",
          .train = set,
          .search_validation = set,
          .test = set,
          .classes = classes,
          .channels = channels,
          .resolution = int(side)};
}

const Dataset& fashion_mnist() {
  static const Dataset data = random_pixels(60000, 28, 1, 10);
  return data;
}

const Dataset& cifar() {
  static const Dataset data = random_pixels(50000, 32, 3, 10);
  return data;
}

// 500 x 375, the usual size in ImageNet: waves of colour with some noise.
std::string photograph(int number) {
  Random random{uint64_t(number)};
  return jpeg_of(image_of(375, 500, 3, [&](int y, int x, int c) {
    const double wave = std::sin(x * 0.02 * (number % 7 + 1) + c) * std::cos(y * 0.03 + number);
    return int(128 + 100 * wave + random.uniform(-12, 12));
  }));
}

const Dataset& jpeg_folder() {
  static const Dataset data = [] {
    const fs::path folder =
        fs::temp_directory_path() / ("ridgewalk-loader-bench-" + std::to_string(getpid()));
    for (const char* part : {"train", "test"}) {
      fs::create_directories(folder / part / "a");
      for (int i = 0; i < 2 * kBatch; ++i) {
        std::ofstream(folder / part / "a" / (std::to_string(i) + ".jpg")) << photograph(i);
      }
    }
    std::atexit([] {
      fs::remove_all(fs::temp_directory_path() /
                     ("ridgewalk-loader-bench-" + std::to_string(getpid())));
    });
    return load_dataset("imagefolder:" + folder.string(), 0, 1, {.resolution = 224});
  }();
  return data;
}

void load(benchmark::State& state, const Dataset& data, const Augmentation& augmentation) {
  const int threads = int(state.range(0));
  at::set_num_threads(std::max(1, threads));
  Loader loader(data, data.train, augmentation,
                in_order(BatchOrder(data.train.size(), kBatch, 1), 1), threads);
  int64_t number = 0;
  loader.get(number++);
  for (auto _ : state) benchmark::DoNotOptimize(loader.get(number++));
  state.counters["images/s"] =
      benchmark::Counter(double(kBatch), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["alone/s"] = loader.images_per_second();
}

const Augmentation kShiftFlip{.shift = 2, .flip = true};
const Augmentation kStrong{
    .rand_augment = RandAugment{.magnitude = 15, .exclude = {ImageOp::kCutout}},
    .shift = 4,
    .flip = true,
    .mixup = 0.8};
const Augmentation kCrop{.random_resized_crop = RandomResizedCrop{}, .flip = true};
const Augmentation kCropStrong{
    .random_resized_crop = RandomResizedCrop{},
    .rand_augment = RandAugment{.magnitude = 15, .exclude = {ImageOp::kCutout}},
    .flip = true};

BENCHMARK_CAPTURE(load, fashion_mnist_shift_flip, fashion_mnist(), kShiftFlip)
    ->ArgName("threads")
    ->Arg(0)
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, cifar_rand_augment_mixup, cifar(), kStrong)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, jpeg_500x375_crop_224, jpeg_folder(), kCrop)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, jpeg_500x375_crop_224_rand_augment, jpeg_folder(), kCropStrong)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// At one eighth to eight eighths of the image's size.
void decode(benchmark::State& state) {
  const std::string bytes = photograph(1);
  for (auto _ : state) benchmark::DoNotOptimize(decode_image(bytes, int(state.range(0))));
}
BENCHMARK(decode)->DenseRange(1, 8)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace ridgewalk

BENCHMARK_MAIN();
