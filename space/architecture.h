// A whole network as plain data, and its YAML.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "space/block.h"
#include "space/detector.h"

namespace ridgewalk {

// 1x1 conv to `width` -> norm -> act -> average pool -> 1x1 conv to `features` -> norm -> act ->
// dropout -> linear to the classes. A width or features of 0 leaves out that convolution:
// MobileNetV1 has neither, V2 only the first; the second of V3 has a bias in place of the norm.
struct Head {
  int width = 960;
  int features = 1280;
  bool features_norm = true;
  bool operator==(const Head&) const = default;
};

// What training drops at random. Stochastic depth drops the residual branch of block i of n, image
// by image, with probability drop_path * i / n, or with drop_path everywhere when flat.
struct Regularization {
  double drop_path = 0;
  bool flat_drop_path = false;
  double dropout = 0;  // before the classifier
  bool operator==(const Regularization&) const = default;
};

struct Architecture {
  std::string name;
  int resolution = 224;  // height and width of the input in pixels
  int channels = 3;
  int classes = 1000;
  Activation activation = Activation::kRelu;  // of the head; blocks carry their own
  // Initial value of the learned per-channel factors at the end of every UIB and attention branch;
  // 0 for none (the released hybrids have 1e-5).
  double layer_scale = 0;
  NormConstants norm = {};
  Regularization regularization = {};
  // timm's fix_stem: width multipliers below this leave the stem as it is (1 for MobileNetV4).
  double fixed_stem_below = 1;
  Conv stem{.kernel = 3, .stride = 2, .width = 32};
  std::vector<std::vector<Block>> stages = {};
  Head head = {};
  // Takes the place of the head: the network scores `classes` at each anchor.
  std::optional<Detector> detector = {};
  bool operator==(const Architecture&) const = default;
};

// Throws Error with stage, block, field, value and rule when the network cannot be built.
void validate(const Architecture& architecture);

// Throws Error for a detector, which cannot be trained or judged here.
void require_classifier(const Architecture& architecture);

// YAML, exact in both directions. `file` names the text in errors. from_yaml() validates.
std::string to_yaml(const Architecture& architecture);
Architecture architecture_from_yaml(const std::string& text, const std::string& file);
Architecture load_architecture(const std::string& path);

// Applies a width multiplier by timm's rule: the widths of the blocks and of the head's first
// convolution are scaled and rounded with make_divisible; expansion ratios and the last features
// are kept; so is the stem for multipliers below `fixed_stem_below`. Where the head's first
// convolution gives the last features (MobileNetV2), it grows but does not shrink.
Architecture scale(const Architecture& architecture, double multiplier);

}  // namespace ridgewalk
