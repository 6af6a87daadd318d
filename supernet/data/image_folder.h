// A folder of images, a folder a class: DIR/train/CLASS/*.jpg and DIR/test/CLASS/*.jpg.
#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace ridgewalk {

// Images in files; nothing of them is in memory.
struct ImageFiles {
  std::vector<std::string> paths;
  std::vector<int> labels;  // of each path
};

struct ImageFolder {
  std::vector<std::string> classes;  // sorted: a label is a place in this list
  ImageFiles train, test;            // by class, then by name
};

// Files that could not be decoded, from any thread. Those not fatal are named on stderr, the first
// ten of them, unless `quiet`.
class DamagedFiles {
 public:
  DamagedFiles(bool strict, bool quiet) : strict_(strict), quiet_(quiet) {}

  // A file that is named again counts once. Throws Error when `strict`.
  void add(const std::string& path, const std::string& what);
  int64_t count() const;

 private:
  const bool strict_, quiet_;
  mutable std::mutex mutex_;
  std::set<std::string> paths_;
};

// Lists *.jpg, *.jpeg and *.png, in capitals or not. The test images are in DIR/test, or DIR/val
// where there is none. Files that do not begin as a JPEG or PNG image are left out and added to
// `damaged`. Throws Error when a folder is missing or cannot be read, the classes of train and test
// differ, or a class has no image to train on.
ImageFolder read_image_folder(const std::string& folder, DamagedFiles& damaged);

}  // namespace ridgewalk
