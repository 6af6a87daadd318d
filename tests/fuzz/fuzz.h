// What fuzz targets have in common: LLVMFuzzerTestOneInput() hands bytes to a parser, and
// libFuzzer, or replay.cc for the corpus, calls it.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "space/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace ridgewalk {

inline std::string text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Up to the separator, which is removed with it.
inline std::string take_until(char separator, std::string& text) {
  const size_t at = text.find(separator);
  const std::string part = text.substr(0, at);
  text.erase(0, at == std::string::npos ? at : at + 1);
  return part;
}

// Bad input is answered by an Error; whatever else is thrown ends the process.
template <class Parse>
void refuse_or_accept(Parse parse) {
  try {
    parse();
  } catch (const Error&) {
  }
}

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

// A file that is never on a disk, for parsers that take a path.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    require(descriptor_ >= 0, "memfd_create() gives a file");
  }
  explicit MemoryFile(std::string_view bytes) : MemoryFile() { write(bytes); }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  void write(std::string_view bytes) const {
    require(::ftruncate(descriptor_, 0) == 0 &&
                ::pwrite(descriptor_, bytes.data(), bytes.size(), 0) == ssize_t(bytes.size()),
            "a file in memory can be written");
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

// A folder in memory, for parsers that take one. It goes with the process.
class MemoryFolder {
 public:
  MemoryFolder() : path_("/dev/shm/ridgewalk-fuzz-" + std::to_string(::getpid())) { clear(); }
  ~MemoryFolder() {
    std::error_code failed;
    std::filesystem::remove_all(path_, failed);
  }
  MemoryFolder(const MemoryFolder&) = delete;
  MemoryFolder& operator=(const MemoryFolder&) = delete;

  void clear() const {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  void write(const std::string& name, std::string_view bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
  }
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace ridgewalk
