// Quantisation of a network whose ranges nobody has measured: a sampled one of a search.
#pragma once

#include <memory>

#include "supernet/network/executor.h"

namespace ridgewalk {

// For an executor of `graph`, folded or not: rounds what quantize() would round, weights by the
// largest magnitude of each output channel and values by the least and the largest of the batch.
// Norms need not be folded for it: they scale the integers of a channel with its weights, and the
// last op that would be folded into a convolution gives what is rounded. Deterministic; several
// threads may use it at once. Gradients pass straight through (fake_quantize.h).
std::shared_ptr<const Rounding> batch_rounding(const Graph& graph);

}  // namespace ridgewalk
