#include "supernet/data/idx_folder.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <vector>

#include "space/error.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

// "Train-Images.idx3-ubyte.GZ" -> "train-images-idx3-ubyte".
std::string normalized(std::string name) {
  for (char& c : name) c = char(std::tolower(static_cast<unsigned char>(c)));
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  std::replace(name.begin(), name.end(), '.', '-');
  return name;
}

bool is_gzipped(const std::string& path) {
  const std::string extension = fs::path(path).extension();
  return extension == ".gz" || extension == ".GZ";
}

// Sorted; empty where there is no such folder.
std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code failed;
  fs::directory_iterator entry(folder, failed);
  while (!failed && entry != fs::directory_iterator()) {
    paths.push_back(entry->path());
    entry.increment(failed);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

bool is_folder(const fs::path& path) {
  std::error_code failed;
  return fs::is_directory(path, failed);
}

// Files of one of the names; those that only end in it where none has it alone.
std::vector<std::string> matches(const std::vector<fs::path>& folders,
                                 const std::vector<std::string>& names) {
  std::vector<std::string> exact, prefixed;
  for (const fs::path& folder : folders) {
    for (const fs::path& path : entries(folder)) {
      const std::string name = normalized(path.filename());
      if (is_folder(path)) continue;
      for (const std::string& wanted : names) {
        if (name == wanted) exact.push_back(path);
        if (name.ends_with("-" + wanted)) prefixed.push_back(path);
      }
    }
  }
  return exact.empty() ? prefixed : exact;
}

// One file of those that differ in nothing but compression and punctuation, all in one folder.
std::string only_one(std::vector<std::string> paths) {
  std::stable_partition(paths.begin(), paths.end(), is_gzipped);
  for (const std::string& path : paths) {
    const fs::path first = paths[0];
    if (normalized(fs::path(path).filename()) == normalized(first.filename()) &&
        fs::path(path).parent_path() == first.parent_path()) {
      continue;
    }
    throw Error(paths[0], 0,
                "could be meant as well as " + path + "; give a folder with one of them");
  }
  return paths[0];
}

}  // namespace

std::string find_idx_file(const std::string& folder, IdxPart part, IdxContent content) {
  const std::string kind =
      content == IdxContent::kImages ? "-images-idx3-ubyte" : "-labels-idx1-ubyte";
  std::vector<std::string> names;
  for (const char* name : {"train", "t10k", "test"}) {
    if ((part == IdxPart::kTrain) == (name == std::string("train"))) names.push_back(name + kind);
  }
  std::vector<fs::path> below;
  for (const fs::path& path : entries(folder)) {
    if (!is_folder(path)) continue;
    below.push_back(path);
    below.push_back(path / "raw");
  }
  const fs::path top = folder;
  const std::vector<fs::path> levels[] = {{top}, {top / "raw"}, below};
  for (const std::vector<fs::path>& folders : levels) {
    const std::vector<std::string> found = matches(folders, names);
    if (!found.empty()) return only_one(found);
  }
  throw Error(folder + "/" + names[0], 0,
              "is not there, nor as .gz; install Debian's dataset-fashion-mnist or give the folder "
              "of the four IDX files: idx:DIR");
}

}  // namespace ridgewalk
