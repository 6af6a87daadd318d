// One supernet, many targets: Pareto sets of architectures, from fast to accurate.
#pragma once

#include <random>
#include <vector>

#include "search/candidates.h"

namespace ridgewalk {

// Indices of the candidates that no other dominates in accuracy and latency ratio of target
// `target` (at least as good in both, better in one), fastest first. Of equals, the first.
std::vector<size_t> pareto_front(const std::vector<Candidate>& tried, const Reward& reward,
                                 size_t target);

// Tries `evaluations` different architectures of a space: first a third of them, spread evenly over
// the logarithm of the latency ratio, then mutations of the front of each target in turn. A target
// is a ridge point or a range of them; every candidate counts for all targets. In the order tried.
// Targets that are limits stand last and have no front: nothing above one is tried. Throws Error
// when it finds nothing within all of them.
std::vector<Candidate> search_fronts(const Trial& trial, int evaluations, std::mt19937_64& random);

}  // namespace ridgewalk
