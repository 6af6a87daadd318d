// A small, learnable set of 28 x 28 images in IDX files, for tests that train.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

namespace ridgewalk {

// Ten classes: a bright bar at one of ten heights on a noisy background. Returns the folder, which
// the caller removes.
inline std::string write_tiny_images(int train, int test) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("ridgewalk-images-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::mt19937_64 random(1);
  const auto big_endian = [](uint32_t value) {
    return std::string{char(value >> 24), char(value >> 16), char(value >> 8), char(value)};
  };
  const auto write = [&](const std::string& part, int count) {
    std::string images = std::string("\0\0\x08\x03", 4) + big_endian(uint32_t(count)) +
                         big_endian(28) + big_endian(28);
    std::string labels = std::string("\0\0\x08\x01", 4) + big_endian(uint32_t(count));
    for (int n = 0; n < count; ++n) {
      const int label = int(random() % 10);
      for (int y = 0; y < 28; ++y) {
        for (int x = 0; x < 28; ++x) {
          const bool bar = y / 2 == label + 2 && x >= 4 && x < 24;
          images += char((bar ? 180 : 0) + random() % 60);
        }
      }
      labels += char(label);
    }
    std::ofstream(folder / (part + "-images-idx3-ubyte"), std::ios::binary) << images;
    std::ofstream(folder / (part + "-labels-idx1-ubyte"), std::ios::binary) << labels;
  };
  write("train", train);
  write("t10k", test);
  return folder.string();
}

}  // namespace ridgewalk
