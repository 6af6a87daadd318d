// How inference runs a graph: which ops make one step, and how long values lie in memory.
#pragma once

#include <cstdint>
#include <vector>

#include "space/graph.h"

namespace ridgewalk {

// The first op computes; activations and at most one add run inside it, on its result. Or scores,
// softmax and mix of an attention that is computed in tiles.
struct InferenceStep {
  std::vector<int> ops;  // indices, in order; the value of the last one is the step's
  int overwrites = -1;   // the op whose value that of the step takes the place of: an add in place
  int64_t in_tiles = 0;  // elements of the tiles of scores and of softmax, while it runs
};

// Of a graph whose norms are folded, for `batch` images, in the order that they run. The first one
// lays out the images.
std::vector<InferenceStep> inference_steps(const Graph& folded, int64_t batch = 1);

// The steps during which the value of a step lies in memory: from the one that makes it to the last
// that reads it. What is overwritten in place ends where its successor begins, and the network's
// output outlives the last step.
struct Lifetime {
  int first = 0, last = 0;
};
// One per step.
std::vector<Lifetime> lifetimes(const Graph& folded, const std::vector<InferenceStep>& steps);

}  // namespace ridgewalk
