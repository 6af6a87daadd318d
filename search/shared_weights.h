// What a search needs of the shared weights, which it does not own.
#pragma once

#include <span>
#include <vector>

#include "space/decisions.h"

namespace ridgewalk {

// Implemented by a supernet (experiments/) and by a fake with a known optimum
// (search/fake_weights.h). Results depend only on the arguments and on the train() calls before, so
// that a resumed search repeats itself.
class SharedWeights {
 public:
  virtual ~SharedWeights() = default;

  // One training step: each sample on its own batch of training images, gradients averaged. Samples
  // may contain kBlend. Returns the mean loss. Weights that are told so (TunasOptions::sandwich)
  // train all samples on one batch, the others on the soft labels that the first gives it.
  virtual double train(int step, std::span<const Decisions> samples) = 0;

  // Accuracy in [0, 1] of each sample on the search-validation batch of this step.
  virtual std::vector<double> accuracy(int step, std::span<const Decisions> samples) = 0;

  // Accuracy in [0, 1] on the whole search-validation split.
  virtual double validate(const Decisions& sample) = 0;
};

}  // namespace ridgewalk
