// quantized.yaml, which says how each op of a network is stored, beside the architecture and the
// tensors of a small one. What is accepted is read back the same.
#include "space/lowering.h"
#include "supernet/quantization/quantized_files.h"
#include "supernet/quantization/random_ranges.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

namespace {

Architecture small() {
  Architecture a{.name = "small", .resolution = 8, .channels = 1, .classes = 2};
  a.stem.width = 2;
  a.stages = {{Conv{.width = 2}}};
  a.head = {.width = 2, .features = 2};
  return a;
}

QuantizedNetwork quantized_small() {
  Network folded = fresh_network(lower(small()));
  return quantized_for_timing(folded);
}

// A folder in memory that holds the small network.
const MemoryFolder& folder() {
  static const MemoryFolder folder;
  static const bool is_written = [] {
    save_quantized(folder.path(), small(), quantized_small());
    return true;
  }();
  require(is_written, "the network is saved");
  return folder;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  folder().write("quantized.yaml", text_of(data, size));
  refuse_or_accept([] {
    const QuantizedNetwork network = load_quantized(folder().path());
    const std::string again = folder().path("again");
    save_quantized(again, small(), network);
    const QuantizedNetwork read = load_quantized(again);
    require(read.quantized.values == network.quantized.values, "values are read back");
    require(read.quantized.weights == network.quantized.weights, "weights are read back");
    for (const auto& [name, tensor] : network.tensors) {
      require(read.tensors.at(name).equal(tensor), "tensors are read back");
    }
  });
  return 0;
}
