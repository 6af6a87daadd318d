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

constexpr std::array kReadExtensions = {".jpg", ".jpeg", ".jpe", ".jfif", ".png"};
// Pictures that are not read: they are counted as damaged rather than passed over.
constexpr std::array kOtherExtensions = {".webp", ".bmp",  ".gif",  ".tif",
                                         ".tiff", ".avif", ".heic", ".heif"};

std::string lower(std::string text) {
  for (char& c : text) c = char(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

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
                    "); imagefolder:DIR needs DIR/train/CLASS/*.jpg and DIR/test/CLASS/*.jpg (or "
                    "val, validation)");
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool is_class(const fs::directory_entry& entry) {
  std::error_code failed;
  return entry.is_directory(failed) && entry.path().filename().string()[0] != '.';
}

template <size_t n>
bool has_extension(const fs::path& path, const std::array<const char*, n>& extensions) {
  return std::find(extensions.begin(), extensions.end(), lower(path.extension().string())) !=
         extensions.end();
}

bool is_image(const fs::directory_entry& entry) {
  const fs::path& path = entry.path();
  // What cannot be read, such as a dangling link, is listed: reading it finds it damaged.
  std::error_code failed;
  const fs::file_type type = entry.status(failed).type();
  const bool is_other =
      !failed && type != fs::file_type::regular && type != fs::file_type::not_found;
  return (has_extension(path, kReadExtensions) || has_extension(path, kOtherExtensions)) &&
         !is_other && path.filename().string()[0] != '.';
}

bool begins_as_image(const std::string& path) {
  std::array<char, 8> start{};
  std::ifstream stream(path, std::ios::binary);
  stream.read(start.data(), start.size());
  return is_image_start({start.data(), start.size()});
}

// Files that are no image are kept where `keeps_damaged`.
ImageFiles list(const std::string& folder, const std::vector<std::string>& classes,
                DamagedFiles& damaged, bool keeps_damaged) {
  ImageFiles files;
  for (size_t label = 0; label < classes.size(); ++label) {
    const std::string within = folder + "/" + classes[label];
    for (const std::string& name : entries(within, is_image)) {
      const std::string path = within + "/" + name;
      if (!begins_as_image(path)) {
        const bool is_foreign = has_extension(name, kOtherExtensions);
        damaged.add(path, std::string("is neither a JPEG nor a PNG image") +
                              (is_foreign ? "; convert it to one of them" : ""));
        if (!keeps_damaged) continue;
      }
      files.paths.push_back(path);
      files.labels.push_back(int(label));
    }
  }
  return files;
}

// Of two sorted lists.
bool shares_one(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::string> names;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(names));
  return !names.empty();
}

bool holds_an_image(const std::string& part, const std::vector<std::string>& classes) {
  const std::vector<std::string> own = entries(part, is_class);
  return std::any_of(classes.begin(), classes.end(), [&](const std::string& name) {
    return std::binary_search(own.begin(), own.end(), name) &&
           !entries(part + "/" + name, is_image).empty();
  });
}

// The first of `names` that is among `parts` and fits, as a path; empty if none is.
template <class Fits>
std::string part_of(const std::string& folder, const std::vector<std::string>& parts,
                    std::initializer_list<const char*> names, Fits fits) {
  for (const char* name : names) {
    for (const std::string& part : parts) {
      if (lower(part) == name && fits(folder + "/" + part)) return folder + "/" + part;
    }
  }
  return "";
}

// What is in one list and not in the other, or empty.
std::string difference(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::string> names;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(names));
  return names.empty() ? "" : names[0];
}

}  // namespace

void DamagedFiles::add(const std::string& path, const std::string& what) {
  if (strict_ && what.starts_with(path)) throw Error(what);  // it cannot be read at all
  if (strict_) throw Error(path, 0, what + "; " + remedy_);
  const std::lock_guard lock(mutex_);
  if (!paths_.insert(path).second || quiet_ || paths_.size() > kMostNamed) return;
  std::fprintf(stderr, "%s: %s\n", path.c_str(), what.c_str());
}

int64_t DamagedFiles::count() const {
  const std::lock_guard lock(mutex_);
  return int64_t(paths_.size());
}

ImageFolder read_image_folder(const std::string& folder, DamagedFiles& damaged) {
  const std::vector<std::string> parts = entries(folder, is_class);
  const std::string train =
      part_of(folder, parts, {"train", "training"}, [](const auto&) { return true; });
  if (train.empty()) {
    throw Error(folder + "/train", 0,
                "cannot be read; imagefolder:DIR needs DIR/train/CLASS/*.jpg and "
                "DIR/test/CLASS/*.jpg (or val, validation)");
  }
  ImageFolder data;
  data.classes = entries(train, is_class);
  if (data.classes.empty()) throw Error(train, 0, "holds no folder; each class needs one");
  const auto test_where = [&](const auto& fits) {
    return part_of(folder, parts, {"test", "testing", "val", "validation", "valid"}, fits);
  };
  std::string test =
      test_where([&](const std::string& part) { return holds_an_image(part, data.classes); });
  if (test.empty()) {  // one without images, to name it
    test = test_where(
        [&](const std::string& part) { return shares_one(data.classes, entries(part, is_class)); });
  }
  if (test.empty()) {
    throw Error(folder, 0,
                "has no test, val or validation folder with the classes of " + train + "; add one");
  }
  const std::string odd = difference(data.classes, entries(test, is_class));
  if (!odd.empty()) {
    throw Error(test, 0,
                "does not have the classes of " + train + ": '" + odd +
                    "' is in one of them alone; add or remove that folder");
  }
  data.train = list(train, data.classes, damaged, false);
  // Evaluations count those that cannot be decoded.
  data.test = list(test, data.classes, damaged, true);
  std::vector<bool> seen(data.classes.size());
  for (const int label : data.train.labels) seen[size_t(label)] = true;
  for (size_t label = 0; label < seen.size(); ++label) {
    if (seen[label]) continue;
    throw Error(train + "/" + data.classes[label], 0,
                "holds no JPEG or PNG image; add some or remove the class from train and test");
  }
  if (std::none_of(data.test.paths.begin(), data.test.paths.end(), begins_as_image)) {
    throw Error(test, 0, "holds no JPEG or PNG image; add some");
  }
  return data;
}

}  // namespace ridgewalk
