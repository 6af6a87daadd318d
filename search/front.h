// One supernet, many targets: the architectures worth having, from fast to accurate.
#pragma once

#include <random>
#include <vector>

#include "search/candidates.h"

namespace ridgewalk {

// Indices of the candidates that no other beats in accuracy and in the latency ratio of target
// `target` (at least as good in both, better in one), the fastest first. Of equals the first.
std::vector<size_t> pareto_front(const std::vector<Candidate>& tried, const Reward& reward,
                                 size_t target);

// Tries `evaluations` different architectures of a space: a third spread evenly over the logarithm
// of the latency ratio, then children of those on the front of each target in turn. A target may be
// a ridge point or a range of them; what is tried for one serves all. In the order tried.
std::vector<Candidate> search_fronts(const Trial& trial, int evaluations, std::mt19937_64& random);

}  // namespace ridgewalk
