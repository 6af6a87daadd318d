#include "supernet/data/image_folder.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "space/error.h"
#include "supernet/data/image_codec.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostNamed = 10;

// Sorted names of what is in a folder and `wanted`.
template <class Wanted>
std::vector<std::string> entries(const std::string& folder, Wanted wanted) {
  std::vector<std::string> names;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (wanted(entry)) names.push_back(entry.path().filename().string());
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(folder, 0,
                "cannot be read (" + error.code().message() +
                    "); imagefolder:DIR needs DIR/train/CLASS/*.jpg and DIR/test or DIR/val alike");
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool is_class(const fs::directory_entry& entry) {
  std::error_code failed;
  return entry.is_directory(failed) && entry.path().filename().string()[0] != '.';
}

bool is_image(const fs::directory_entry& entry) {
  std::string extension = entry.path().extension().string();
  for (char& c : extension) c = char(std::tolower(static_cast<unsigned char>(c)));
  // What is no file at all, such as a link to nothing, is listed: reading it finds it damaged.
  std::error_code failed;
  const fs::file_type type = entry.status(failed).type();
  const bool is_other =
      !failed && type != fs::file_type::regular && type != fs::file_type::not_found;
  return (extension == ".jpg" || extension == ".jpeg" || extension == ".png") && !is_other &&
         entry.path().filename().string()[0] != '.';
}

ImageFiles list(const std::string& folder, const std::vector<std::string>& classes,
                DamagedFiles& damaged) {
  ImageFiles files;
  for (size_t label = 0; label < classes.size(); ++label) {
    const std::string within = folder + "/" + classes[label];
    for (const std::string& name : entries(within, is_image)) {
      const std::string path = within + "/" + name;
      std::array<char, 8> start{};
      std::ifstream stream(path, std::ios::binary);
      stream.read(start.data(), start.size());
      if (!is_image_start({start.data(), start.size()})) {
        damaged.add(path, "is neither a JPEG nor a PNG image");
        continue;
      }
      files.paths.push_back(path);
      files.labels.push_back(int(label));
    }
  }
  return files;
}

// What is in one list and not in the other, or empty.
std::string difference(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::string> names;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(names));
  return names.empty() ? "" : names[0];
}

}  // namespace

void DamagedFiles::add(const std::string& path, const std::string& what) {
  if (strict_) throw Error(path, 0, what + "; mend or remove it, or leave --strict out");
  const std::lock_guard lock(mutex_);
  if (!paths_.insert(path).second || quiet_ || paths_.size() > kMostNamed) return;
  std::fprintf(stderr, "%s: %s\n", path.c_str(), what.c_str());
}

int64_t DamagedFiles::count() const {
  const std::lock_guard lock(mutex_);
  return int64_t(paths_.size());
}

ImageFolder read_image_folder(const std::string& folder, DamagedFiles& damaged) {
  const std::string train = folder + "/train";
  std::error_code none;
  const std::string test = folder + (fs::is_directory(folder + "/test", none) ? "/test" : "/val");
  ImageFolder data;
  data.classes = entries(train, is_class);
  if (data.classes.empty()) throw Error(train, 0, "holds no folder; each class needs one");
  const std::string odd = difference(data.classes, entries(test, is_class));
  if (!odd.empty()) {
    throw Error(test, 0,
                "has not the classes of " + train + ": '" + odd +
                    "' is in one of them alone; add or remove that folder");
  }
  data.train = list(train, data.classes, damaged);
  data.test = list(test, data.classes, damaged);
  std::vector<bool> seen(data.classes.size());
  for (const int label : data.train.labels) seen[size_t(label)] = true;
  for (size_t label = 0; label < seen.size(); ++label) {
    if (seen[label]) continue;
    throw Error(train + "/" + data.classes[label], 0,
                "holds no JPEG or PNG image; add some or remove the class from train and test");
  }
  if (data.test.paths.empty()) throw Error(test, 0, "holds no JPEG or PNG image; add some");
  return data;
}

}  // namespace ridgewalk
