#include "supernet/data/idx.h"

#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "space/error.h"

namespace ridgewalk {
namespace {

constexpr int64_t kLargestFile = int64_t{1} << 33;
constexpr size_t kChunk = size_t{1} << 20;

// Reads exactly `size` bytes of a plain or gzipped file, growing as they arrive, so that a header
// that promises more than the file holds costs no memory.
std::vector<uint8_t> read_bytes(gzFile file, size_t size, const std::string& path) {
  std::vector<uint8_t> bytes;
  while (bytes.size() < size) {
    const size_t have = bytes.size();
    const size_t want = std::min(kChunk, size - have);
    bytes.resize(have + want);
    const int got = gzread(file, bytes.data() + have, static_cast<unsigned>(want));
    if (got < 0) throw Error(path, 0, "is damaged; fetch the file again");
    if (static_cast<size_t>(got) < want) {
      throw Error(path, 0, "ends too early; fetch the file again");
    }
  }
  return bytes;
}

}  // namespace

IdxArray read_idx(const std::string& path, int dimensions) {
  std::error_code unreadable;
  if (std::filesystem::is_directory(path, unreadable)) {
    throw Error(path, 0, "is a folder; give a folder with the four IDX files themselves");
  }
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw Error(path, 0, "cannot be read; give a folder with the four IDX files");
  const std::vector<uint8_t> magic = read_bytes(file.get(), 4, path);
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != 8) {
    throw Error(path, 0, "is not an IDX file of unsigned bytes (it must start with 00 00 08)");
  }
  if (magic[3] != dimensions) {
    throw Error(
        path, 0,
        "has " + std::to_string(magic[3]) + " dimensions; expected " + std::to_string(dimensions));
  }
  IdxArray array;
  int64_t size = 1;
  for (int d = 0; d < dimensions; ++d) {
    const std::vector<uint8_t> b = read_bytes(file.get(), 4, path);
    const int64_t length = int64_t{b[0]} << 24 | int64_t{b[1]} << 16 | int64_t{b[2]} << 8 | b[3];
    if (length == 0 || length > kLargestFile / size) {
      throw Error(path, 0,
                  "has a dimension of " + std::to_string(length) + ", which is impossible");
    }
    array.shape.push_back(length);
    size *= length;
  }
  array.bytes = read_bytes(file.get(), static_cast<size_t>(size), path);
  uint8_t extra = 0;
  int state = Z_OK;
  const int left = gzread(file.get(), &extra, 1);
  gzerror(file.get(), &state);  // the checksum stands at the end
  if (left != 0 || state != Z_OK) {
    throw Error(path, 0, "has bytes after its last image or is damaged; fetch the file again");
  }
  return array;
}

}  // namespace ridgewalk
