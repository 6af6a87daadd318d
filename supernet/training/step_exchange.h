// Work whose pieces are computed by the processes of a group: what each leaves, and the sum of a
// training step's gradients, known to all.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <torch/types.h>

#include "supernet/network/parameters.h"
#include "supernet/training/process_group.h"

namespace ridgewalk {

// What a piece leaves in the process that computes it.
struct StepPiece {
  int owner = 0;                           // rank
  std::vector<torch::Tensor> values = {};  // all of one type; overwritten in the other processes
  std::vector<torch::Tensor> leaves = {};  // slices of a store with their gradients
};

// Gives every process the values of all pieces, through the CPU's memory. All processes list the
// same pieces.
void exchange_values(ProcessGroup& group, std::span<const StepPiece> pieces);

// store.collect_gradients() of all pieces: store.grads() is what it would be in every process if
// each had computed all of them itself; and exchange_values() of theirs, in fp32, which travel with
// the gradients. Each process adds a part of the store, in
// the order of the pieces, as it would alone: the sum is the same, bit for bit, for any number of
// processes. Each sends the slices of its pieces once, whatever the number of processes, and its
// part of the store to all others: a ring's all-reduce moves as much, where each has one piece, but
// adds in an order that depends on how many take part.
void sum_gradients(ProcessGroup& group, std::span<const StepPiece> pieces, ParameterStore& store);

// Owners of pieces of these costs: the costliest first, each to the process with the least so far.
std::vector<int> balanced_owners(std::span<const int64_t> costs, int processes);

// The flat places of values() where the parts that processes add begin, and where the last one
// ends: a parameter is in one part, and the parts are about equal.
std::vector<int64_t> part_bounds(const ParameterStore& store, int processes);

}  // namespace ridgewalk
