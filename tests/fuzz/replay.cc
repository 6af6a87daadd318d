// Runs a fuzz target on every file of a folder, as libFuzzer does with a corpus, without clang.
// Fails where one takes seconds; what a parser may not do ends the process, after the file's name.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr double kMostSeconds = 10;  // with sanitizers, on a busy machine

// Of memory that was used at once, in MiB.
long peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

double seconds_of(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  // Exactly as large as the file: a sanitizer then sees what reads beyond it.
  const std::vector<char> read{std::istreambuf_iterator<char>(stream), {}};
  const std::vector<uint8_t> bytes(read.begin(), read.end());
  std::fprintf(stderr, "%s\n", path.c_str());
  const auto start = std::chrono::steady_clock::now();
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) files.push_back(entry);
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    std::fprintf(stderr, "%s is empty\n", argv[1]);
    return 2;
  }
  bool is_slow = false;
  for (const std::filesystem::path& file : files) {
    const double seconds = seconds_of(file);
    if (seconds < kMostSeconds) continue;
    std::fprintf(stderr, "%s takes %.1f s\n", file.c_str(), seconds);
    is_slow = true;
  }
  std::printf("%zu inputs, %ld MiB\n", files.size(), peak_memory());
  return is_slow ? 1 : 0;
}
