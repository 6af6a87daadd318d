// Names of networks: of the catalogue, with a width multiplier, timm's.
#include "space/catalog.h"
#include "space/lowering.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string name = text_of(data, size);
  // A name with a slash in front could be any file or device of this machine.
  while (name.starts_with('/')) name.erase(0, 1);
  refuse_or_accept([&] { validate(find_architecture(name)); });
  return 0;
}
