// The memory that running a network takes.
#pragma once

#include <cstdint>

#include "space/data_type.h"
#include "space/graph.h"
#include "space/search_space.h"

namespace ridgewalk {

// Bytes. Working space of the libraries and the images of a data set come on top.
struct MemoryNeed {
  double weights = 0;           // and what training keeps for each of them
  double activations = 0;       // at the moment when they are most
  double attention_scores = 0;  // of the activations; at most a tile of each (attention.h)
  double total() const { return weights + activations; }
};

// Of an Executor: each value lives until the last op that reads it.
MemoryNeed inference_memory(const Graph& graph, int64_t batch, int bytes_per_activation = 4);

// Of inference as supernet/inference/ compiles it: activations as roofline/memory.h has them, and
// the scores of the largest attention; without the copies that zero points of all values take.
MemoryNeed compiled_memory(const Graph& graph, int batch, DataType type = DataType::kFp32);

// Of a training step on a CPU as training_plan.h lays it out: what the backward pass reads lives
// until then, a norm and the ReLU after it have no values of their own, and gradients live until
// they are used. Each weight has a gradient and two moments of the optimizer.
MemoryNeed training_memory(const Graph& graph, int64_t batch, int bytes_per_activation = 4);

// Of a training step whose weights and values are rounded as int8 would have them, op by op: each
// value as it is, rounded, and once more for gradients (measured with compact-nano on 256 images:
// 0.63 to 0.69 GB, where this gives 0.66).
MemoryNeed rounded_training_memory(const Graph& graph, int64_t batch);

// Of a supernet's step: the shared weights with what training keeps for each of them, and what the
// largest network of the space takes, on `batch` training images or on `validation_batch` others.
// An operation warm-up, which runs every option of a choice, takes more. An average of the weights
// is one copy more. With `rounds`, steps are those of rounded_training_memory().
MemoryNeed supernet_memory(const SearchSpace& space, int64_t batch, int64_t validation_batch,
                           int bytes_per_activation = 4, bool has_average = false,
                           bool rounds = false);

// Keeps what is freed for what is allocated next, from now on and for the whole process. glibc
// would map every tensor beyond 32 MiB anew, and the kernel clears each page of it: half of the
// time of a step with such tensors. In other threads than the first one, whose heaps have a limit,
// it still maps what is larger than 64 MiB. Does nothing with another libc.
void keep_freed_memory();

// Of `lanes` passes over the same weights at once.
MemoryNeed side_by_side(MemoryNeed need, int64_t lanes);

}  // namespace ridgewalk
