// What a search asks of the weights that it does not own.
#pragma once

#include <span>
#include <vector>

#include "space/decisions.h"

namespace ridgewalk {

// Answered by a supernet (experiments/) and by a fake with a known optimum (search/fake_weights.h).
// Answers depend on the arguments and on the train() calls before, on nothing else: a resumed
// search repeats itself.
class SharedWeights {
 public:
  virtual ~SharedWeights() = default;

  // One step of the weights: each sample on a batch of training images of its own, gradients
  // averaged. Samples may hold kBlend. Returns the mean loss.
  virtual double train(int step, std::span<const Decisions> samples) = 0;

  // Accuracy in [0, 1] of each sample on the search-validation batch of this step.
  virtual std::vector<double> accuracy(int step, std::span<const Decisions> samples) = 0;

  // Accuracy in [0, 1] on the whole search-validation split.
  virtual double validate(const Decisions& sample) = 0;
};

}  // namespace ridgewalk
