// Architectures priced per second, by the table and by lowering each one.
#include <benchmark/benchmark.h>

#include "roofline/cost_table.h"
#include "roofline/latency.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

const std::vector<MacsPerByte> kSevenRidgePoints = {{0},     {5},     {31.2}, {100},
                                                    {347.3}, {433.8}, {500}};

std::vector<MacsPerByte> first_ridge_points(int64_t count) {
  return {kSevenRidgePoints.begin(), kSevenRidgePoints.begin() + count};
}

std::vector<Decisions> samples(const SearchSpace& space, int count) {
  std::mt19937_64 random(1);
  std::vector<Decisions> list;
  for (int i = 0; i < count; ++i) list.push_back(sample(space, random));
  return list;
}

void price(benchmark::State& state, const SearchSpace& space,
           const std::vector<LatencyModel>& models) {
  const CostTable table(space, models);
  const std::vector<Decisions> list = samples(space, 4096);
  std::vector<Macs> latency(models.size());
  size_t next = 0;
  for (auto _ : state) {
    table.price(list[next++ % list.size()], latency);
    benchmark::DoNotOptimize(latency.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}

// The argument is the number of ridge points.
void price_by_table(benchmark::State& state, const char* name) {
  price(state, load_search_space(name), rooflines(first_ridge_points(state.range(0))));
}

// With depthwise cost, overhead and floor, and by the laws of a calibrated machine.
void price_by_terms(benchmark::State& state, const char* name) {
  LatencyModel model = latency_model(load_profile("pixel6-cpu"));
  model.depthwise_cost = 5, model.op_overhead = {2e-6}, model.floor = {1e-4};
  price(state, load_search_space(name), {model});
}
void price_by_laws(benchmark::State& state, const char* name) {
  price(state, load_search_space(name), {latency_model(load_profile("epyc-zen5-1-thread"))});
}

// A latency beside limits on the peak of memory and on the weights.
void price_with_memory(benchmark::State& state, const char* name) {
  price(
      state, load_search_space(name),
      {LatencyModel{.ridge_point = {31.2}}, resource_model(Resource::kPeakMemory, DataType::kInt8),
       resource_model(Resource::kWeights, DataType::kInt8)});
}

void price_by_lowering(benchmark::State& state, const char* name) {
  const SearchSpace space = load_search_space(name);
  const std::vector<MacsPerByte> points = first_ridge_points(state.range(0));
  const std::vector<Decisions> list = samples(space, 256);
  size_t next = 0;
  for (auto _ : state) {
    const Graph graph = lower(decode(space, list[next++ % list.size()]), Naming::kNone);
    for (MacsPerByte point : points) benchmark::DoNotOptimize(latency(graph, point));
  }
  state.SetItemsProcessed(state.iterations());
}

void build_table(benchmark::State& state, const char* name) {
  const SearchSpace space = load_search_space(name);
  for (auto _ : state) {
    const CostTable table(space, rooflines(first_ridge_points(state.range(0))));
    state.counters["entries"] = double(table.entries());
  }
}

void build_table_of_laws(benchmark::State& state, const char* name) {
  const SearchSpace space = load_search_space(name);
  const LatencyModel model = latency_model(load_profile("epyc-zen5-1-thread"));
  for (auto _ : state) {
    const CostTable table(space, {model});
    state.counters["entries"] = double(table.entries());
  }
}

BENCHMARK_CAPTURE(price_by_table, mobile, "mobile")->Arg(1)->Arg(7);
BENCHMARK_CAPTURE(price_by_table, fashion_mnist, "fashion-mnist")->Arg(1)->Arg(7);
BENCHMARK_CAPTURE(price_by_terms, mobile, "mobile");
BENCHMARK_CAPTURE(price_by_terms, fashion_mnist, "fashion-mnist");
BENCHMARK_CAPTURE(price_by_laws, mobile, "mobile");
BENCHMARK_CAPTURE(price_by_laws, fashion_mnist, "fashion-mnist");
BENCHMARK_CAPTURE(price_with_memory, mobile, "mobile");
BENCHMARK_CAPTURE(price_with_memory, fashion_mnist, "fashion-mnist");
BENCHMARK_CAPTURE(price_by_lowering, mobile, "mobile")->Arg(1)->Arg(7);
BENCHMARK_CAPTURE(price_by_lowering, fashion_mnist, "fashion-mnist")->Arg(1)->Arg(7);
BENCHMARK_CAPTURE(build_table, mobile, "mobile")->Arg(7)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(build_table, fashion_mnist, "fashion-mnist")
    ->Arg(7)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(build_table_of_laws, mobile, "mobile")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(build_table_of_laws, fashion_mnist, "fashion-mnist")
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ridgewalk
