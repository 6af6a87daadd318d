#include "supernet/data/cifar.h"

#include <filesystem>
#include <sstream>

#include "space/error.h"
#include "space/file.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSide = 32;
constexpr size_t kPlane = kSide * kSide;
constexpr const char* kSource = "https://www.cs.toronto.edu/~kriz/cifar.html";

// A record is the image's labels, then its red, green and blue plane.
struct Format {
  const char* name;
  const char* folder;
  const char* python_folder;  // of the version that holds pickles
  const char* archive;
  const char* class_names;
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
                "has " + std::to_string(bytes.size()) + " bytes, which is not a multiple of " +
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

bool exists(const std::string& path) {
  std::error_code none;
  return fs::exists(path, none);
}

// Says what is in the folder instead of the binary version.
void require_binary(const std::string& folder, const std::string& file, const Format& format) {
  if (exists(file)) return;
  const std::string archive = format.archive;
  const fs::path python = fs::path(folder) / format.python_folder;
  const fs::path batch = fs::path(folder) / fs::path(format.train[0]).stem();
  std::error_code none;
  for (const fs::path& pickle : {python, batch}) {
    if (!(pickle == python ? fs::is_directory(pickle, none) : fs::is_regular_file(pickle, none))) {
      continue;
    }
    throw Error(pickle, 0,
                std::string("is the Python version of ") + format.name +
                    "; the binary version is needed: " + archive + " of " + kSource);
  }
  const std::string packed = folder + "/" + archive;
  if (exists(packed)) throw Error(packed, 0, "is still packed; unpack it there: tar xf " + archive);
  throw Error(
      file, 0,
      "is not there; give the folder that " + archive + " of " + kSource + " was unpacked in");
}

// One name a line; none unless there are as many as classes.
std::vector<std::string> read_class_names(const std::string& path, const Format& format) {
  std::vector<std::string> names;
  if (!exists(path)) return names;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) names.push_back(line);
  }
  if (int(names.size()) != format.classes.back()) names.clear();
  return names;
}

Cifar read(const std::string& folder, const Format& format) {
  const std::string inner = folder + "/" + format.folder;
  std::error_code none;
  const std::string from = fs::is_directory(inner, none) ? inner : folder;
  require_binary(folder, from + "/" + format.train[0], format);
  Cifar data{.train = {}, .test = {}, .classes = format.classes.back()};
  for (const char* name : format.train) read_records(from + "/" + name, format, data.train);
  read_records(from + "/" + format.test, format, data.test);
  data.class_names = read_class_names(from + "/" + format.class_names, format);
  return data;
}

}  // namespace

Cifar read_cifar10(const std::string& folder) {
  return read(folder, {.name = "CIFAR-10",
                       .folder = "cifar-10-batches-bin",
                       .python_folder = "cifar-10-batches-py",
                       .archive = "cifar-10-binary.tar.gz",
                       .class_names = "batches.meta.txt",
                       .classes = {10},
                       .train = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                 "data_batch_4.bin", "data_batch_5.bin"},
                       .test = "test_batch.bin"});
}

Cifar read_cifar100(const std::string& folder) {
  return read(folder, {.name = "CIFAR-100",
                       .folder = "cifar-100-binary",
                       .python_folder = "cifar-100-python",
                       .archive = "cifar-100-binary.tar.gz",
                       .class_names = "fine_label_names.txt",
                       .classes = {20, 100},
                       .train = {"train.bin"},
                       .test = "test.bin"});
}

}  // namespace ridgewalk
