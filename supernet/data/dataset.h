// Images with labels and their splits.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <torch/types.h>

#include "space/architecture.h"
#include "supernet/data/content_hash.h"
#include "supernet/data/image_folder.h"

namespace ridgewalk {

// Of ImageNet's red, green and blue in [0, 1]: what published weights were trained with.
inline constexpr std::array<double, 3> kImageNetMean = {0.485, 0.456, 0.406};
inline constexpr std::array<double, 3> kImageNetDeviation = {0.229, 0.224, 0.225};

struct ImageSet {
  torch::Tensor images;                 // uint8 [N, H, W, C]; undefined for images in files
  torch::Tensor labels;                 // int64 [N]
  std::vector<std::string> paths = {};  // [N] of an image folder, else empty
  int64_t size() const { return labels.size(0); }
};

// `search_validation` is held out of the training images: a search never sees `test`.
struct Dataset {
  std::string name;
  ImageSet train, search_validation, test;
  int classes = 0;
  int channels = 0;  // 1 or 3
  int resolution = 0;
  // Of each channel, in [0, 1]: those of the training pixels; for an image folder ImageNet's, which
  // published weights were trained with and which do not depend on what is held out.
  std::array<double, 3> mean = {}, deviation = {1, 1, 1};
  double crop_fraction = 0.875;  // of a file's shorter side, where no random crop is asked for
  // Of an image folder.
  std::shared_ptr<DamagedFiles> damaged = {};
  std::shared_ptr<FileHashes> file_hashes = {};
  std::vector<std::string> class_names = {};  // by label; empty where the data have none
  uint64_t split_seed = 0;                    // that the held-out images were drawn with
  // "'cat'", or "3" where classes have no names.
  std::string class_text(int64_t label) const;
};

// Throws Error when the architecture's channels or classes are not the data's.
void require_fits(const Architecture& architecture, const Dataset& data);

// How the images of a folder are read; other data sets are kept in memory unchanged.
struct FolderOptions {
  int resolution = 224;  // height and width of what is cut out of them
  double crop_fraction = 0.875;
  bool strict = false;  // a file that cannot be decoded is an Error
  bool quiet = false;   // do not name such files on stderr
};

// What load_dataset() takes, for help texts.
inline constexpr const char* kDatasets =
    "fashion-mnist, idx:DIR, cifar10:DIR, cifar100:DIR or imagefolder:DIR";

// "fashion-mnist" (Debian's package dataset-fashion-mnist); "idx:DIR", the four files of MNIST as
// find_idx_file() finds them; "cifar10:DIR" and "cifar100:DIR", their binary versions;
// "imagefolder:DIR", as read_image_folder() reads it. `search_validation` images are drawn with
// `seed`: of two numbers the smaller one holds out a part of what the larger one does. Throws
// Error.
Dataset load_dataset(const std::string& spec, int64_t search_validation, uint64_t seed,
                     const FolderOptions& options = {});

}  // namespace ridgewalk
