// A data set of noise in memory, and an augmentation that uses everything.
#pragma once

#include "supernet/data/dataset.h"

namespace ridgewalk {

// 8 x 8 RGB pixels in 5 classes.
inline Dataset noise_dataset(int64_t count) {
  at::manual_seed(1);
  const ImageSet set{torch::randint(256, {count, 8, 8, 3}, torch::kUInt8),
                     torch::arange(count).remainder(5)};
  return {.name = "noise",
          .train = set,
          .search_validation = set,
          .test = set,
          .classes = 5,
          .channels = 3,
          .resolution = 8,
          .mean = {0.4, 0.5, 0.6},
          .deviation = {0.2, 0.25, 0.3}};
}

inline Augmentation everything() {
  return {.random_resized_crop = RandomResizedCrop{.least_area = 0.3},
          .rand_augment = RandAugment{},
          .shift = 1,
          .flip = true,
          .mixup = 0.8,
          .cutmix = 1};
}

}  // namespace ridgewalk
