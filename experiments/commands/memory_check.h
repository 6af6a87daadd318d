// Whether what a command is about to do fits into the memory that is available.
#pragma once

#include <cstdint>

#include "experiments/run/config.h"
#include "experiments/run/context.h"
#include "space/graph.h"

namespace ridgewalk {

// Bytes of the batches that a loader of images with so many elements keeps ready.
double loader_bytes(int64_t batch, int64_t elements, const Session& session);

// Throw Error when a batch in each lane, one in training, or the samples of a search step in their
// lanes take more memory than is available. A GPU's memory is not checked.
void require_inference_memory(const Graph& graph, int64_t batch, const Session& session);
void require_training_memory(const Graph& graph, int64_t batch, const Session& session);
void require_rounded_training_memory(const Graph& graph, int64_t batch, const Session& session);
// For the shared weights of `space` and the networks that they judge and that are trained from
// scratch after them; of `supernets` that are trained at the same time, one lane each.
void require_supernet_memory(const SearchSpace& space, const SearchConfig& config,
                             const Session& session, int supernets = 1);

}  // namespace ridgewalk
