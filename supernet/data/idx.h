// IDX files, the format of MNIST and Fashion-MNIST, plain or gzipped.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ridgewalk {

// Unsigned bytes with their dimensions, last dimension fastest.
struct IdxArray {
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
};

// Throws Error with the file's name when it cannot be opened, is not IDX of unsigned bytes, is
// shorter or longer than its header says, or does not have `dimensions` dimensions.
IdxArray read_idx(const std::string& path, int dimensions);

}  // namespace ridgewalk
