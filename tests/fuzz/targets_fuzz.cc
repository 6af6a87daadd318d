// YAML of the targets of a search, as --targets takes it.
#include "experiments/run/config.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

namespace {

constexpr const char* kConfig = R"(
space: fashion-mnist-small
data: fashion-mnist
targets: {ridge_point: 0, latency_macs: 1000}
weights: {}
train: {}
report_ridge_points: [0]
)";

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  refuse_or_accept([&] {
    const SearchConfig config = search_config_from_yaml(
        kConfig, "config", {.seed = {}, .threads = {}, .targets = text_of(data, size)});
    for (const Target& target : config.reward.targets) {
      require(target.latency.size() == target.models.size(), "each model has a latency");
      for (const Macs latency : target.latency) require(latency.value > 0, "a target is positive");
    }
  });
  return 0;
}
