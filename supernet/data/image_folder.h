// A folder of images with one folder per class: DIR/train/CLASS/*.jpg and DIR/test/CLASS/*.jpg.
#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace ridgewalk {

// Images in files, none of them in memory.
struct ImageFiles {
  std::vector<std::string> paths;
  std::vector<int> labels;  // of each path
};

struct ImageFolder {
  std::vector<std::string> classes;  // sorted: a label is a place in this list
  ImageFiles train, test;            // by class, then by name
};

// Files that could not be decoded, reported from any thread. The first ten are named on stderr
// unless `quiet`.
class DamagedFiles {
 public:
  DamagedFiles(bool strict, bool quiet,
               const char* remedy = "repair or remove it, or leave out --strict")
      : strict_(strict), quiet_(quiet), remedy_(remedy) {}

  // A file that is added again counts once. Throws Error when `strict`.
  void add(const std::string& path, const std::string& what);
  int64_t count() const;

 private:
  const bool strict_, quiet_;
  const char* const remedy_;  // when strict
  mutable std::mutex mutex_;
  std::set<std::string> paths_;
};

// Lists *.jpg, *.jpeg, *.jpe, *.jfif and *.png, in capitals or not. The training images are in
// DIR/train or DIR/training; the test images in the first of DIR/test, DIR/testing, DIR/val,
// DIR/validation and DIR/valid that holds one in a folder of a training class (a `test` without
// class folders, as competitions have it, or with empty ones is passed over). Names of these
// folders may be in capitals. Files that do not begin as a JPEG or PNG image, and pictures of other
// formats (*.webp, *.bmp, *.gif, *.tiff, *.avif, *.heic), are added to `damaged`; those to train on
// are left out. Throws Error when a folder is missing or cannot be read, the classes of train and
// test differ, or a class has no image to train on, or none has one to test with.
ImageFolder read_image_folder(const std::string& folder, DamagedFiles& damaged);

}  // namespace ridgewalk
