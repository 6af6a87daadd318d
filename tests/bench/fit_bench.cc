// Fits to a table of thousands of networks.
#include <benchmark/benchmark.h>

#include "roofline/held_out.h"
#include "roofline/ridge_certainty.h"
#include "space/decisions.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

std::vector<Measured> random_table(int count) {
  const SearchSpace space = load_search_space("mobile");
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> noise(0.9, 1.1);
  const Fit machine{.ridge_point = {31.2}, .seconds_per_mac = 1e-11};
  std::vector<Measured> networks;
  for (int i = 0; i < count; ++i) {
    NetworkWork work = network_work("", lower(decode(space, sample(space, random))), {});
    const Seconds latency{machine.predict(work).value * noise(random)};
    networks.push_back({std::move(work), latency, std::to_string(i)});
  }
  return networks;
}

void read_networks(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(random_table(int(state.range(0))));
}

// Everything that `ridgewalk fit` computes from a table of as many networks as the argument says.
void fit_table(benchmark::State& state) {
  const std::vector<Measured> networks = random_table(int(state.range(0)));
  const std::vector<FitTerms> sets = sets_of_terms();
  for (auto _ : state) {
    benchmark::DoNotOptimize(try_terms(networks, sets, std::nullopt, 1));
    benchmark::DoNotOptimize(cross_validate(networks, sets, std::nullopt, 1));
    for (const FitTerms& terms : sets) {
      benchmark::DoNotOptimize(ridge_certainty(networks, terms, 1));
    }
  }
}

BENCHMARK(read_networks)->Arg(4000)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(fit_table)->Arg(11)->Arg(60)->Arg(4000)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace ridgewalk
