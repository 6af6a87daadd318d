// What `ridgewalk sweep` computes, over the whole catalogue.
#include <benchmark/benchmark.h>

#include "roofline/latency.h"
#include "roofline/latency_curve.h"
#include "space/catalog.h"
#include "space/lowering.h"
#include "space/published.h"

namespace ridgewalk {
namespace {

std::vector<Architecture> catalog() {
  std::vector<Architecture> list;
  for (const std::string& name : catalog_names()) list.push_back(find_architecture(name));
  return list;
}

// From architectures to latencies; the argument is the number of ridge points.
void sweep_catalog(benchmark::State& state) {
  const std::vector<Architecture> architectures = catalog();
  const std::vector<MacsPerByte> points = ridge_points(0, 500, int(state.range(0)));
  for (auto _ : state) {
    for (const Architecture& architecture : architectures) {
      const std::vector<OpCost> costs = op_costs(lower(architecture));
      for (MacsPerByte point : points) benchmark::DoNotOptimize(latency(costs, point));
    }
  }
  state.counters["networks"] = double(architectures.size());
}

// From costs to exact curves, the swap points of every pair, and the Pareto front.
void swaps_and_fronts_of_catalog(benchmark::State& state) {
  std::vector<std::vector<OpCost>> costs;
  std::vector<double> accuracies;
  for (const Architecture& architecture : catalog()) {
    const auto accuracy = published_accuracy(architecture.name);
    costs.push_back(op_costs(lower(architecture)));
    accuracies.push_back(accuracy ? accuracy->top1 : 0);
  }
  const RidgeRange range{{0}, {500}};
  for (auto _ : state) {
    std::vector<RatedCurve> curves;
    for (size_t i = 0; i < costs.size(); ++i) {
      curves.push_back({latency_curve(costs[i]), accuracies[i]});
    }
    for (size_t a = 0; a < curves.size(); ++a) {
      for (size_t b = a + 1; b < curves.size(); ++b) {
        benchmark::DoNotOptimize(swaps(curves[a].latency, curves[b].latency, range));
      }
    }
    benchmark::DoNotOptimize(pareto_front(curves, range));
  }
}

BENCHMARK(sweep_catalog)->Arg(101)->Arg(501)->Unit(benchmark::kMillisecond);
BENCHMARK(swaps_and_fronts_of_catalog)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ridgewalk
