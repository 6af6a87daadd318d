// Random pixels: the time of a step does not depend on them.
#pragma once

#include "supernet/data/dataset.h"

namespace ridgewalk {

// 28 x 28 pixels of one channel in ten classes, as many as a benchmark needs.
inline Dataset random_images() {
  const auto set = [](int64_t count) {
    return ImageSet{torch::randint(256, {count, 28, 28, 1}, torch::kUInt8),
                    torch::randint(10, {count}, torch::kLong)};
  };
  return {.name = "random",
          .train = set(4096),
          .search_validation = set(1024),
          .test = set(16),
          .classes = 10,
          .channels = 1,
          .resolution = 28};
}

}  // namespace ridgewalk
