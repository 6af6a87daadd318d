// A training of the tiny data set in a second.
#pragma once

#include "supernet/training/train.h"

namespace ridgewalk {

inline TrainOptions short_training(double learning_rate) {
  TrainOptions options;
  options.epochs = 2;
  options.batch_size = 50;
  options.optimizer = {.kind = OptimizerKind::kAdamW, .learning_rate = learning_rate};
  options.augmentation = {.shift = 1, .flip = true};
  options.seed = 3;
  return options;
}

}  // namespace ridgewalk
