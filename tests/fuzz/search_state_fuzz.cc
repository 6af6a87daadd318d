// The state of a search within a checkpoint: JSON of the step, the random generator, the
// controller.
#include "search/fake_weights.h"
#include "search/tunas.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

namespace {

// One choice of two options, two of three.
SearchSpace smallest_space() {
  return search_space_from_yaml(R"(
name: smallest
resolution: 8
classes: 2
stem: {kernel: 3, stride: 2, width: 8}
stages: [{block: uib, stride: 2, width: [8, 16], depth: 1, expansion: 1, kernel1: [0, 3, 5], kernel2: [3, 5]}]
head: {width: 8, features: 8}
)",
                                "smallest");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const SearchSpace space = smallest_space();
  static const Reward reward{
      .targets = {{.name = "target", .models = rooflines({{0}}), .latency = {{1000}}}}};
  static const TunasSearch fresh(space, reward, {.steps = 2, .samples_per_step = 1});
  static const Decisions optimum = fresh.controller().most_probable();
  FakeWeights weights(space, optimum);
  TunasSearch search = fresh;
  refuse_or_accept([&] {
    search.restore(text_of(data, size));
    search.controller().most_probable(2);
    if (!search.done()) search.advance(weights);
  });
  return 0;
}
