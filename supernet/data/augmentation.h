// Random changes of training images, each a pure function of pixels and a seed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "supernet/data/image.h"
#include "supernet/data/rand_augment.h"

namespace ridgewalk {

// A part of the image of random area and shape, resized (Szegedy et al. 2014, arXiv:1409.4842,
// section 6: the "Inception crop").
struct RandomResizedCrop {
  double least_area = 0.08, most_area = 1;             // shares of the image's
  double least_ratio = 3.0 / 4, most_ratio = 4.0 / 3;  // width / height
  bool operator==(const RandomResizedCrop&) const = default;
};

// Applied in this order.
struct Augmentation {
  std::optional<RandomResizedCrop> random_resized_crop = {};
  std::optional<RandAugment> rand_augment = {};
  int shift = 0;      // moved by up to this many pixels each way, edges filled with the mean
  bool flip = false;  // mirrored with probability 1/2
  // Mixed with another image of the set, drawn and augmented by the same seed: Beta(alpha, alpha)
  // draws the share of each in pixels and label; 0 turns mixing off. mixup blends the pixels (Zhang
  // et al. 2017, arXiv:1710.09412), cutmix pastes a part of one into the other (Yun et al. 2019,
  // arXiv:1905.04899).
  double mixup = 0, cutmix = 0;
  double mix_probability = 1;  // that an example is mixed at all
  double cutmix_share = 0.5;   // of the mixed examples, where mixup and cutmix are both on
  bool operator==(const Augmentation&) const = default;

  bool mixes() const { return (mixup > 0 || cutmix > 0) && mix_probability > 0; }
};

// One line of YAML, such as {flip: true, mixup: 0.8}; {} for no augmentation.
std::string to_yaml(const Augmentation& augmentation);
// Throws Error naming `file` and the line.
Augmentation augmentation_from_yaml(const std::string& text, const std::string& file);

// The box of a random resized crop: ten tries at an area and a ratio that fit, then the largest
// centred box of an allowed ratio, as torchvision does.
Box random_box(const RandomResizedCrop& crop, int height, int width, uint64_t seed);

// How an example of side x side pixels is mixed: with cutmix the box is the partner's; with mixup
// every pixel is `share` of the example's own and 1 - share of the partner's.
struct Mixing {
  double share = 1;  // of the example itself, in the label too; 1: not mixed
  bool boxed = false;
  int top = 0, left = 0, bottom = 0, right = 0;  // of the box, in pixels
  int64_t partner = 0;                           // the other image
  uint64_t partner_seed = 0;
};
Mixing draw_mixing(const Augmentation& augmentation, int64_t set_size, int side, uint64_t seed);

}  // namespace ridgewalk
