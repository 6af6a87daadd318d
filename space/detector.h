// A RetinaNet (arXiv 1708.02002) over a backbone: its feature pyramid and heads as operations.
#pragma once

#include <cstdint>

#include "space/graph.h"

namespace ridgewalk {

// The detector of MobileNetV4's table 7, all of it depth-separable: a feature pyramid of levels 3
// to 7 (strides 8 to 128), and for each level one tower that scores classes and one that places
// boxes. The towers of all levels share their convolutions, but not their norms.
struct Detector {
  int pyramid = 256;   // channels of every level and of the towers
  int head_depth = 4;  // convolutions of a tower before the one that gives its output
  int anchors = 9;     // boxes per position
  bool operator==(const Detector&) const = default;
};

// The image's height and width must be multiples of this: level 5 is enlarged to level 4.
inline constexpr int kDetectorStride = 32;

// Appends to a backbone in timm's naming what makes it a detector, and names the outputs:
// scores_3 [classes * anchors, H / 8, W / 8], boxes_3 [4 * anchors, H / 8, W / 8], ..., boxes_7.
// Throws Error when the backbone has no maps at strides 8, 16 and 32.
void append_detector(const Detector& detector, int classes, Activation activation, Graph& backbone);

// What Keras' count_params() says of the detector of the same backbone in TF-models, which the
// paper's table prints: beside the detector's own parameters the running statistics of all norms,
// and the backbone's layers around its pool, which no detector runs. `classifier` is the backbone
// with its head, `detector` the detector.
int64_t parameters_of_tf_models(const Graph& classifier, const Graph& detector);

}  // namespace ridgewalk
