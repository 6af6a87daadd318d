// YAML of a search. What is accepted is kept in a form that is read alike.
#include "experiments/run/config.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text = text_of(data, size);
  // A base lies beside its file.
  const std::string path = "experiments/configs/search/fuzzed.yaml";
  refuse_or_accept([&] {
    const SearchConfig config = search_config_from_yaml(text, path, {});
    const SearchConfig again = search_config_from_yaml(config.resolved, path, {});
    require(again.space == config.space && again.seed == config.seed, "what is kept is the same");
    require(again.resolved == config.resolved, "what is kept is kept the same again");
    search_config_from_yaml(text, path, {.seed = 2, .threads = 1, .targets = {}});
  });
  return 0;
}
