// Images with labels and their splits.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "space/architecture.h"
#include "supernet/data/image_folder.h"

namespace ridgewalk {

struct ImageSet {
  torch::Tensor images;                 // uint8 [N, H, W, C]; not defined where they are in files
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
  // Of each channel, in [0, 1]: of the training pixels; of an image folder ImageNet's, with which
  // published weights were trained and which do not change with the images that are held out.
  std::array<double, 3> mean = {}, deviation = {1, 1, 1};
  double crop_fraction = 0.875;  // of files' shorter side, where no random crop is asked for
  std::shared_ptr<DamagedFiles> damaged = {};  // of an image folder
};

// Throws Error when the architecture's channels or classes are not the data's.
void require_fits(const Architecture& architecture, const Dataset& data);

// How the images of a folder are read; the other data sets are in memory as they are.
struct FolderOptions {
  int resolution = 224;  // height and width of what is cut out of them
  double crop_fraction = 0.875;
  bool strict = false;  // a file that cannot be decoded is an Error
  bool quiet = false;   // nor named on stderr
};

// What load_dataset() takes, for help texts.
inline constexpr const char* kDatasets =
    "fashion-mnist, idx:DIR, cifar10:DIR, cifar100:DIR or imagefolder:DIR";

// "fashion-mnist" (Debian's package dataset-fashion-mnist); "idx:DIR", a folder with the four files
// of MNIST, gzipped or not; "cifar10:DIR" and "cifar100:DIR", their binary versions;
// "imagefolder:DIR" with DIR/train/CLASS/*.jpg and DIR/test (or DIR/val) alike. The images held out
// are drawn with `seed`. Throws Error.
Dataset load_dataset(const std::string& spec, int64_t search_validation, uint64_t seed,
                     const FolderOptions& options = {});

}  // namespace ridgewalk
