// Batches of images that depend on nothing but seed and number.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "space/random.h"
#include "supernet/data/augmentation.h"
#include "supernet/data/dataset.h"

namespace ridgewalk {

// One example: an image of a set, and the seed of everything random that is done to it. What a
// batch holds is a function of its draws and the augmentation alone.
struct Draw {
  int64_t image = 0;
  uint64_t seed = 0;
};

struct Batch {
  torch::Tensor images;  // float [N, C, H, W], channels_last, zero mean and unit deviation
  torch::Tensor labels;  // int64 [N]
  // float [N, classes], each row a distribution; only where labels are mixed or distilled.
  torch::Tensor targets;
};

// The order of a set: each epoch is a new permutation, cut into batches of `batch_size`; the
// remainder of an epoch is left out.
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

// On all threads, or on the caller's alone. In place of a file that cannot be decoded stands the
// next one of the set that can be. Throws Error when such a file is fatal (DamagedFiles) or no file
// of the set can be decoded.
Batch make_batch(const Dataset& data, const ImageSet& set, std::span<const Draw> draws,
                 const Augmentation& augmentation, bool parallel = true);

// Images as they are, for evaluation, on all threads. Those that cannot be decoded are left out:
// the batch has fewer images, or none. Throws Error when such a file is fatal.
Batch make_evaluation_batch(const Dataset& data, const ImageSet& set,
                            const std::vector<int64_t>& images);

}  // namespace ridgewalk
