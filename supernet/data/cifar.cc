#include "supernet/data/cifar.h"

#include <filesystem>

#include "space/error.h"
#include "space/file.h"

namespace ridgewalk {
namespace {

constexpr size_t kSide = 32;
constexpr size_t kPlane = kSide * kSide;

// A record is the image's labels, then its red, green and blue plane.
struct Format {
  const char* name;
  const char* folder;
  std::vector<int> classes;  // of each label; the last one counts
  std::vector<const char*> train;
  const char* test;
};

void read_records(const std::string& path, const Format& format, CifarSet& set) {
  const std::string bytes = read_file(path);
  const size_t labels = format.classes.size();
  const size_t record = labels + 3 * kPlane;
  if (bytes.empty() || bytes.size() % record != 0) {
    throw Error(path, 0,
                "has " + std::to_string(bytes.size()) + " bytes, which is no whole number of " +
                    std::to_string(record) + " (one image); fetch the binary version again");
  }
  for (size_t at = 0; at < bytes.size(); at += record) {
    for (size_t i = 0; i < labels; ++i) {
      if (uint8_t(bytes[at + i]) < format.classes[i]) continue;
      throw Error(path, 0,
                  "has label " + std::to_string(uint8_t(bytes[at + i])) + " at image " +
                      std::to_string(at / record) + "; " + format.name + " has " +
                      std::to_string(format.classes[i]) + ": fetch the binary version again");
    }
    set.labels.push_back(uint8_t(bytes[at + labels - 1]));
    const char* planes = &bytes[at + labels];
    for (size_t pixel = 0; pixel < kPlane; ++pixel) {
      for (size_t c = 0; c < 3; ++c) set.pixels.push_back(uint8_t(planes[c * kPlane + pixel]));
    }
  }
}

Cifar read(const std::string& folder, const Format& format) {
  const std::string inner = folder + "/" + format.folder;
  std::error_code none;
  const std::string from = std::filesystem::is_directory(inner, none) ? inner : folder;
  Cifar data{.train = {}, .test = {}, .classes = format.classes.back()};
  for (const char* name : format.train) read_records(from + "/" + name, format, data.train);
  read_records(from + "/" + format.test, format, data.test);
  return data;
}

}  // namespace

Cifar read_cifar10(const std::string& folder) {
  return read(folder, {.name = "CIFAR-10",
                       .folder = "cifar-10-batches-bin",
                       .classes = {10},
                       .train = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                 "data_batch_4.bin", "data_batch_5.bin"},
                       .test = "test_batch.bin"});
}

Cifar read_cifar100(const std::string& folder) {
  return read(folder, {.name = "CIFAR-100",
                       .folder = "cifar-100-binary",
                       .classes = {20, 100},
                       .train = {"train.bin"},
                       .test = "test.bin"});
}

}  // namespace ridgewalk
