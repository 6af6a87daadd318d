// ONNX models.
#include "supernet/formats/onnx.h"

#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const MemoryFile file;
  file.write({reinterpret_cast<const char*>(data), size});
  refuse_or_accept([&] {
    size_t bytes = 0;
    for (const auto& [name, tensor] : read_onnx(file.path()).tensors) bytes += tensor.nbytes();
    require(bytes <= size, "tensors are from the file");
  });
  return 0;
}
