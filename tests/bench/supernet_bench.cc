// A step of the supernet: narrow and wide samples, fp32 and bf16, and how much of a search step is
// not training but slicing, controller and cost table. A step of a network alone. The kernels of
// our own beside LibTorch's.
#include <ctime>

#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include "experiments/run/supernet_weights.h"
#include "roofline/latency.h"
#include "search/tunas.h"
#include "space/catalog.h"
#include "space/lowering.h"
#include "supernet/inference/peaks.h"
#include "supernet/kernels/packing.h"
#include "supernet/network/batch_norm.h"
#include "supernet/network/depthwise.h"
#include "tests/bench/random_images.h"

namespace ridgewalk {
namespace {

constexpr int kThreads = 2;
constexpr int kBatch = 64;

const SearchSpace& space() {
  static const SearchSpace space = load_search_space("fashion-mnist");
  return space;
}

const Dataset& images() {
  static const Dataset data = [] {
    at::set_num_threads(kThreads);
    return random_images();
  }();
  return data;
}

Supernet supernet(DataType precision) {
  const SupernetOptions options{.steps = 1 << 20,
                                .batch_size = kBatch,
                                .validation_batch_size = 250,
                                .optimizer = {.learning_rate = 1e-4},
                                .augmentation = {}};
  return Supernet(space(), images(), options, {.precision = precision});
}

Decisions extreme(bool widest) {
  Decisions decisions;
  for (const Choice& choice : choices(space())) {
    const bool filters = choice.kind == ChoiceKind::kFilters;
    decisions.push_back(filters && widest ? choice.widest : 0);
  }
  const ChoiceLayout layout = choice_layout(space());
  for (const StageChoices& stage : layout.stages)
    decisions[stage.depth] = choices(space())[stage.depth].widest;
  deactivate_unused(space(), layout, decisions);
  return decisions;
}

void train_sample(benchmark::State& state, bool widest, DataType precision) {
  Supernet net = supernet(precision);
  const std::vector<Decisions> sample{extreme(widest)};
  int step = 0;
  for (auto _ : state) benchmark::DoNotOptimize(net.train(step++, sample));
  state.counters["images/s"] =
      benchmark::Counter(double(kBatch), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["slicing %"] = 100 * net.slicing_seconds() / net.step_seconds();
}
BENCHMARK_CAPTURE(train_sample, narrowest_fp32, false, DataType::kFp32)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(train_sample, widest_fp32, true, DataType::kFp32)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(train_sample, narrowest_bf16, false, DataType::kBf16)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(train_sample, widest_bf16, true, DataType::kBf16)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// A whole search step after the controller's delay: four architectures, each priced at the given
// number of ridge points, and one update.
void search_step(benchmark::State& state) {
  Supernet net = supernet(precision_named("auto", torch::kCPU));
  SupernetWeights weights(net);
  Reward reward;
  std::vector<MacsPerByte> points{{31.2}};
  if (state.range(0) > 1) points = spread_ridge_points(0, 500, int(state.range(0)));
  const std::vector<Macs> asked(points.size(), Macs{1.2e7});
  reward.targets.push_back({"target", rooflines(points), asked});
  TunasOptions options{.steps = 1 << 20,
                       .samples_per_step = 4,
                       .controller_delay = 0,
                       .operation_warmup = 0,
                       .filter_warmup = 0};
  TunasSearch search(space(), reward, options);
  double seconds = 0;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(search.advance(weights));
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  state.counters["images/s"] =
      benchmark::Counter(4.0 * kBatch, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["slicing %"] = 100 * net.slicing_seconds() / seconds;
  state.counters["controller+table %"] = 100 * (seconds - net.step_seconds()) / seconds;
}
BENCHMARK(search_step)
    ->ArgName("ridge points")
    ->Arg(1)
    ->Arg(32)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

Architecture network_at_64() {
  Architecture architecture = find_architecture("mnv4-conv-small");
  architecture.resolution = 64;
  architecture.classes = 10;
  return architecture;
}

// Time that this thread computed, whatever else the machine did meanwhile.
double thread_seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

// Runs steps of mnv4-conv-small on one thread, beside what the roofline of this machine allows
// (training_latency()). On a machine that does other things, peaks measured meanwhile are too low:
// compare "thread ms" with a calibrated profile's roofline.
template <class Step>
void run_steps(benchmark::State& state, DataType precision, Step step) {
  step();
  double seconds = 0, own = 0;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    const double own_start = thread_seconds();
    step();
    own += thread_seconds() - own_start;
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  const double peak = measure_peak_gmacs(precision, 1).value_or(MeasuredRate{}).value;
  const double bandwidth = measure_bandwidth_gbps({double(1 << 28)}, 1).value;
  const Macs bound =
      training_latency(lower(network_at_64()), kBatch, {peak / bandwidth}, precision);
  const auto steps = double(state.iterations());
  state.counters["thread ms"] = 1e3 * own / steps;
  state.counters["images/thread s"] = kBatch * steps / own;
  state.counters["roofline %"] = 100 * bound.value / (1e9 * peak) / (seconds / steps);
}

// A whole step, which also prepares its images and updates the weights.
void train_network(benchmark::State& state, DataType precision) {
  const auto set = [](int64_t count) {
    return ImageSet{torch::randint(256, {count, 64, 64, 3}, torch::kUInt8),
                    torch::randint(10, {count}, torch::kLong)};
  };
  const Dataset data{.name = "random",
                     .train = set(1024),
                     .search_validation = set(16),
                     .test = set(16),
                     .classes = 10,
                     .channels = 3,
                     .resolution = 64};
  at::set_num_threads(1);
  Trainer trainer(network_at_64(), data, {.epochs = 1000, .batch_size = kBatch},
                  {.precision = precision});
  run_steps(state, precision, [&] { benchmark::DoNotOptimize(trainer.advance()); });
}
BENCHMARK_CAPTURE(train_network, fp32, DataType::kFp32)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(train_network, bf16, DataType::kBf16)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// Forward and backward alone.
void differentiate_network(benchmark::State& state, DataType precision) {
  at::set_num_threads(1);
  const Graph graph = lower(network_at_64());
  ParameterStore parameters(graph);
  parameters.initialize(1, Initialization::kResidual);
  const Executor network(graph, parameters);
  const auto images = torch::randn({kBatch, 3, 64, 64});
  const auto classes = torch::randint(10, {kBatch}, torch::kLong);
  run_steps(state, precision, [&] {
    torch::Tensor loss;
    {
      const Autocast autocast(precision, torch::kCPU);
      loss = torch::cross_entropy_loss(network.forward(images, NormMode::kTraining), classes);
    }
    loss.backward();
    for (torch::Tensor leaf : network.learned()) leaf.mutable_grad().reset();
  });
}
BENCHMARK_CAPTURE(differentiate_network, fp32, DataType::kFp32)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(differentiate_network, bf16, DataType::kBf16)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// Products of matrices in fp32 on one thread: LibTorch's, and ours with a right operand that is
// packed before.
void product(benchmark::State& state, bool own) {
  at::set_num_threads(1);
  const int64_t rows = state.range(0), columns = state.range(1), depth = state.range(2);
  const auto left = torch::randn({rows, depth}), right = torch::randn({depth, columns});
  auto result = torch::empty({rows, columns});
  const auto packed = torch::empty(packed_units<float>(depth, columns));
  pack<float>(right.data_ptr<float>(), columns, 1, depth, columns, packed.data_ptr<float>());
  const Product<float> ours{.left = left.data_ptr<float>(),
                            .row = depth,
                            .right = packed.data_ptr<float>(),
                            .panel = packed_panel<float>(depth),
                            .right_step = panel_columns(),
                            .rows = rows,
                            .columns = columns,
                            .depth = depth};
  for (auto _ : state) {
    if (own) {
      multiply(ours, result.data_ptr<float>(), columns);
    } else {
      at::mm_out(result, left, right);
    }
    benchmark::ClobberMemory();
  }
  state.counters["MACs/s"] = benchmark::Counter(double(rows * columns * depth),
                                                benchmark::Counter::kIsIterationInvariantRate);
}
void product_shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "columns", "depth"})
      ->Args({64, 256, 192})
      ->Args({384, 256, 64})
      ->Args({8, 784, 16})
      ->Args({10, 512, 96})
      ->Args({192, 64, 768})
      ->Args({12, 300, 40})
      ->Unit(benchmark::kMicrosecond);
}
BENCHMARK_CAPTURE(product, libtorch, false)->Apply(product_shapes);
BENCHMARK_CAPTURE(product, ridgewalk, true)->Apply(product_shapes);

// The same of integers, as int8 multiplies on CPUs without VNNI.
void integer_product(benchmark::State& state) {
  const int64_t rows = state.range(0), columns = state.range(1), depth = state.range(2);
  const std::vector<int16_t> left(size_t(rows * depth), 100), right(size_t(depth * columns), -3);
  std::vector<int32_t> result(size_t(rows * columns));
  std::vector<uint32_t> packed(size_t(packed_units<int16_t>(depth, columns)));
  pack_integers(right.data(), depth, depth, columns, packed.data());
  const Product<int16_t> ours{.left = reinterpret_cast<const UnitOf<int16_t>::Unit*>(left.data()),
                              .row = units<int16_t>(depth),
                              .right = packed.data(),
                              .panel = packed_panel<int16_t>(depth),
                              .right_step = panel_columns(),
                              .rows = rows,
                              .columns = columns,
                              .depth = units<int16_t>(depth)};
  for (auto _ : state) {
    multiply_add(ours, result.data(), columns);
    benchmark::ClobberMemory();
  }
  state.counters["MACs/s"] = benchmark::Counter(double(rows * columns * depth),
                                                benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(integer_product)->Apply(product_shapes);

// Forward and backward of a depthwise convolution in bf16 (in fp32 ours is LibTorch's): LibTorch's
// and ours.
void depthwise(benchmark::State& state, bool own) {
  const int64_t channels = 192, kernel = state.range(0), stride = state.range(2);
  const auto x = torch::randn({kBatch, channels, state.range(1), state.range(1)})
                     .contiguous(torch::MemoryFormat::ChannelsLast)
                     .requires_grad_();
  const auto weight = torch::randn({channels, 1, kernel, kernel}).requires_grad_();
  for (auto _ : state) {
    const Autocast autocast(DataType::kBf16, torch::kCPU);
    const auto y = own ? depthwise_conv(x, weight, stride)
                       : torch::conv2d(x, weight, {}, stride, (kernel - 1) / 2, 1, channels);
    y.sum().backward();
  }
}
void depthwise_shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"kernel", "size", "stride"})
      ->ArgsProduct({{3, 5}, {7, 14}, {1, 2}})
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}
BENCHMARK_CAPTURE(depthwise, libtorch, false)->Apply(depthwise_shapes);
BENCHMARK_CAPTURE(depthwise, ridgewalk, true)->Apply(depthwise_shapes);

// Forward and backward of batch norm and ReLU: LibTorch's and ours.
void norm_relu(benchmark::State& state, bool own, torch::ScalarType type) {
  const int64_t channels = state.range(0), size = state.range(1);
  const auto x = torch::randn({kBatch, channels, size, size})
                     .to(type)
                     .contiguous(torch::MemoryFormat::ChannelsLast)
                     .requires_grad_();
  const NormParameters parameters{
      torch::ones(channels).requires_grad_(), torch::zeros(channels).requires_grad_(), {}, {}};
  const auto gradient = torch::randn_like(x);
  for (auto _ : state) {
    const auto y = own ? batch_norm(x, parameters, 0.1, 1e-5)
                       : torch::batch_norm(x, parameters.weight, parameters.bias, {}, {}, true, 0.1,
                                           1e-5, false);
    torch::relu(y).backward(gradient);
  }
}
void norm_relu_shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"channels", "size"})
      ->Args({16, 28})
      ->Args({12, 28})
      ->Args({24, 14})
      ->Args({64, 14})
      ->Args({128, 7})
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}
BENCHMARK_CAPTURE(norm_relu, libtorch_fp32, false, torch::kFloat)->Apply(norm_relu_shapes);
BENCHMARK_CAPTURE(norm_relu, ridgewalk_fp32, true, torch::kFloat)->Apply(norm_relu_shapes);
BENCHMARK_CAPTURE(norm_relu, libtorch_bf16, false, torch::kBFloat16)->Apply(norm_relu_shapes);
BENCHMARK_CAPTURE(norm_relu, ridgewalk_bf16, true, torch::kBFloat16)->Apply(norm_relu_shapes);

}  // namespace
}  // namespace ridgewalk

BENCHMARK_MAIN();
