// A whole network as plain data, and its YAML.
#pragma once

#include <string>
#include <vector>

#include "space/block.h"

namespace ridgewalk {

// 1x1 conv to `width` -> norm -> act -> average pool -> 1x1 conv to `features` -> norm -> act ->
// dropout -> linear to the classes. A width or features of 0 leaves that convolution out:
// MobileNetV1 has neither, V2 the first alone; V3's second has a bias in place of the norm.
struct Head {
  int width = 960;
  int features = 1280;
  bool features_norm = true;
  bool operator==(const Head&) const = default;
};

// What training switches off at random. Stochastic depth drops a residual branch of an image with
// chance `drop_path`, or, unless flat, drop_path * i / n for block i of n.
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
  // Initial value of a learned factor on every channel of each UIB's and attention's branch; 0 for
  // none (the released hybrids have 1e-5).
  double layer_scale = 0;
  NormConstants norm = {};
  Regularization regularization = {};
  // timm's fix_stem: a width multiplier below this leaves the stem alone (1 for MobileNetV4).
  double fixed_stem_below = 1;
  Conv stem{.kernel = 3, .stride = 2, .width = 32};
  std::vector<std::vector<Block>> stages = {};
  Head head = {};
  bool operator==(const Architecture&) const = default;
};

// Throws Error naming stage, block, field, value and rule when the network cannot be built.
void validate(const Architecture& architecture);

// YAML, exact in both directions. `file` names the text in errors. from_yaml() validates.
std::string to_yaml(const Architecture& architecture);
Architecture architecture_from_yaml(const std::string& text, const std::string& file);
Architecture load_architecture(const std::string& path);

// Width multiplier by timm's rule: block widths and the head's first convolution are scaled and
// rounded with make_divisible, each expansion ratio is kept, the stem stays below
// `fixed_stem_below`, and the last features stay. Where the head's first convolution gives the last
// features (MobileNetV2), it grows and does not shrink.
Architecture scale(const Architecture& architecture, double multiplier);

}  // namespace ridgewalk
