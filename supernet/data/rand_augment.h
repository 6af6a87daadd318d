// RandAugment (Cubuk et al. 2019, arXiv:1909.13719): a few operations drawn from a list, all at the
// same magnitude.
#pragma once

#include <cstdint>
#include <vector>

#include "space/names.h"
#include "supernet/data/image.h"

namespace ridgewalk {

enum class ImageOp {
  kAutoContrast,
  kEqualize,
  kInvert,
  kRotate,
  kPosterize,
  kSolarize,
  kSolarizeAdd,
  kColor,
  kContrast,
  kBrightness,
  kSharpness,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kCutout,
};
template <>
inline constexpr auto kNames<ImageOp> =
    name_table<ImageOp>("operation", {{ImageOp::kAutoContrast, "auto_contrast"},
                                      {ImageOp::kEqualize, "equalize"},
                                      {ImageOp::kInvert, "invert"},
                                      {ImageOp::kRotate, "rotate"},
                                      {ImageOp::kPosterize, "posterize"},
                                      {ImageOp::kSolarize, "solarize"},
                                      {ImageOp::kSolarizeAdd, "solarize_add"},
                                      {ImageOp::kColor, "color"},
                                      {ImageOp::kContrast, "contrast"},
                                      {ImageOp::kBrightness, "brightness"},
                                      {ImageOp::kSharpness, "sharpness"},
                                      {ImageOp::kShearX, "shear_x"},
                                      {ImageOp::kShearY, "shear_y"},
                                      {ImageOp::kTranslateX, "translate_x"},
                                      {ImageOp::kTranslateY, "translate_y"},
                                      {ImageOp::kCutout, "cutout"}});

// Applies the operation in place. Colours are PIL's; moved pixels are interpolated bilinearly, with
// grey (128) outside the image.
//   rotate: degrees counter-clockwise         posterize: bits kept, from the top
//   solarize: values from it on are inverted  solarize_add: added to values below 128
//   color, contrast, brightness, sharpness: 0 removes it, 1 changes nothing
//   shear_x, shear_y: pixels a pixel          translate_x, translate_y: shares of the side
//   cutout: half the side of a grey square as a share of the image's, its centre drawn with `seed`
//   auto_contrast, equalize, invert: no amount
void apply(ImageOp op, double amount, uint64_t seed, Image& image);

struct RandAugment {
  double probability = 1;  // of each layer
  int layers = 2;
  double magnitude = 9;  // 0 to 30; 10 is the end of the ranges of AutoAugment
  std::vector<ImageOp> exclude = {};
  bool operator==(const RandAugment&) const = default;
};

// The amount of an operation at a magnitude: the table of TensorFlow's model garden
// (official/vision/ops/augment.py), with which MobileNetV4 was trained; its
// translation by 100 and cutout by 40 pixels at magnitude 10 are shares of a side of 224 here. As
// there, posterize and solarize grow weaker with the magnitude. `seed` draws the sign of moves.
double amount_of(ImageOp op, double magnitude, uint64_t seed);

// Each layer draws evenly from the operations and the identity, as TensorFlow's model garden does
// (RandAugment._distort_common there draws below len(available_ops) + 1, and the last one is
// tf.identity); what is drawn is then applied with `probability`.
void rand_augment(const RandAugment& options, uint64_t seed, Image& image);

}  // namespace ridgewalk
