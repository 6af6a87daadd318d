// The result.yaml of a run, and the architecture beside it that it may name.
#include "experiments/report/ratings.h"
#include "space/catalog.h"
#include "space/file.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const MemoryFolder folder;
  static const bool is_first = [] {
    folder.write("architecture.yaml", to_yaml(find_architecture("compact-nano")));
    return true;
  }();
  require(is_first, "there is a network");
  folder.write("result.yaml", text_of(data, size));
  refuse_or_accept([&] { networks_of_run(folder.path()); });
  return 0;
}
