// YAML of architectures. What is accepted survives being written, and can be lowered.
#include "space/architecture.h"
#include "space/lowering.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  refuse_or_accept([&] {
    const Architecture architecture = architecture_from_yaml(text_of(data, size), "file");
    require(architecture_from_yaml(to_yaml(architecture), "written") == architecture,
            "an architecture is read as it was written");
    lower(architecture);
  });
  return 0;
}
