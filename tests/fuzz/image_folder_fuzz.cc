// Folders of images by class, and of the four files of MNIST: which paths are found among others.
// Each line of the input is a path; one that ends in a slash is a folder, and every other one a
// file that begins as a PNG unless the line begins with a blank.
#include "supernet/data/image_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "supernet/data/idx_folder.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

namespace {

constexpr int kMostPaths = 8;

// Within `folder`: "." and ".." are left out.
void create(const std::string& folder, std::string path) {
  const bool is_image = !path.starts_with(' ');
  std::string at = folder;
  while (!path.empty()) {
    const bool is_folder = path.find('/') != std::string::npos;
    const std::string name = take_until('/', path);
    if (name.empty() || name == "." || name == "..") continue;
    at += "/" + name;
    if (is_folder) {
      ::mkdir(at.c_str(), 0700);
    } else if (const int file = ::open(at.c_str(), O_WRONLY | O_CREAT, 0600); file >= 0) {
      const std::string_view start = is_image ? "\x89PNG\r\n\x1a\n" : "no image";
      require(::write(file, start.data(), start.size()) > 0, "a file in memory can be written");
      ::close(file);
    }
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const MemoryFolder folder;
  folder.clear();
  std::string lines = text_of(data, size);
  for (int path = 0; path < kMostPaths && !lines.empty(); ++path) {
    create(folder.path(), take_until('\n', lines));
  }
  refuse_or_accept([&] {
    DamagedFiles damaged(false, true);
    const ImageFolder images = read_image_folder(folder.path(), damaged);
    require(images.train.paths.size() == images.train.labels.size(), "each image has a label");
    for (const int label : images.test.labels) {
      require(size_t(label) < images.classes.size(), "labels are of a class");
    }
  });
  for (const IdxPart part : {IdxPart::kTrain, IdxPart::kTest}) {
    refuse_or_accept([&] {
      const std::string found = find_idx_file(folder.path(), part, IdxContent::kImages);
      require(std::filesystem::exists(found), "what is found is there");
    });
  }
  return 0;
}
