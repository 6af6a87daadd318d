// IDX files, plain and gzipped. The input's first byte is the number of dimensions that is
// expected.
#include "supernet/data/idx.h"

#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const MemoryFile file;
  if (size == 0) return 0;
  file.write(std::string_view(reinterpret_cast<const char*>(data), size).substr(1));
  refuse_or_accept([&] {
    const IdxArray array = read_idx(file.path(), data[0] % 5);
    size_t bytes = 1;
    for (const int64_t length : array.shape) bytes *= size_t(length);
    require(array.bytes.size() == bytes, "there are as many bytes as the shape says");
  });
  return 0;
}
