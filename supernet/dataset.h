// Images with labels, their splits, and batches of them that depend on nothing but seed and number.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "space/architecture.h"

namespace ridgewalk {

struct ImageSet {
  torch::Tensor images;  // uint8 [N, H, W, C]
  torch::Tensor labels;  // int64 [N]
  int64_t size() const { return images.size(0); }
};

// `search_validation` is held out of the training images: a search never sees `test`.
struct Dataset {
  std::string name;
  ImageSet train, search_validation, test;
  int classes = 0;
  int channels = 0;
  int resolution = 0;
  double mean = 0, deviation = 1;  // of the training pixels, in [0, 1]
};

// Throws Error when the architecture's channels or classes are not the data's.
void require_fits(const Architecture& architecture, const Dataset& data);

// "fashion-mnist" (Debian's package dataset-fashion-mnist) or "idx:DIR", a folder with the four
// files of MNIST, gzipped or not. The images held out are drawn with `seed`. Throws Error.
Dataset load_dataset(const std::string& spec, int64_t search_validation, uint64_t seed);

struct Augmentation {
  int shift = 0;      // moved by up to so many pixels each way, edges filled with the mean
  bool flip = false;  // mirrored with chance 1/2
  bool operator==(const Augmentation&) const = default;
};

// One example: an image of a set, and the seed that decides all that chance does to it. What a
// batch holds is a function of its draws and the augmentation alone.
struct Draw {
  int64_t image = 0;
  uint64_t seed = 0;
};

struct Batch {
  torch::Tensor images;   // float [N, C, H, W], channels_last, zero mean and unit deviation
  torch::Tensor labels;   // int64 [N]
  torch::Tensor targets;  // float [N, classes], each row a distribution: only where labels are soft
};

// The order of a set: batch `number` of batches of `size`, each epoch a new permutation, the
// remainder of an epoch left out.
class BatchOrder {
 public:
  BatchOrder(int64_t set_size, int64_t batch_size, uint64_t seed);
  std::vector<int64_t> indices(int64_t number);
  int64_t batches_per_epoch() const { return batches_; }

 private:
  int64_t set_size_, batch_size_, batches_;
  uint64_t seed_;
  int64_t epoch_ = -1;
  std::vector<int64_t> permutation_;
};

// Draw n has the seed mix(seed, n).
std::vector<Draw> draws(const std::vector<int64_t>& images, uint64_t seed);

Batch make_batch(const Dataset& data, const ImageSet& set, std::span<const Draw> draws,
                 const Augmentation& augmentation);

// A well-mixed seed from two (splitmix64).
uint64_t mix(uint64_t a, uint64_t b);

}  // namespace ridgewalk
