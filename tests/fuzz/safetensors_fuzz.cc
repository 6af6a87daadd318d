// Safetensors. Every byte of what is accepted can be read.
#include "supernet/formats/safetensors.h"

#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const MemoryFile file;
  file.write({reinterpret_cast<const char*>(data), size});
  refuse_or_accept([&] {
    for (const auto& [name, tensor] : read_safetensors(file.path()).tensors) {
      const auto* bytes = static_cast<const uint8_t*>(tensor.data_ptr());
      unsigned sum = 0;
      for (size_t i = 0; i < tensor.nbytes(); ++i) sum += bytes[i];
      require(sum <= 255 * size, "bytes are read from the file");
    }
  });
  return 0;
}
