// What a judge without error could reach against trainings that differ by luck.
#pragma once

#include <cstdint>
#include <vector>

namespace ridgewalk {

// Spearman's correlation of a perfect judge with the mean of `trainings` trainings, of which two
// agree with `agreement` (Spearman 1904, attenuation; Spearman 1910 and Brown 1910, means).
double best_spearman(double agreement, double trainings);

// Kendall's tau-b of a perfect judge with the mean of each network's trainings (at least two of
// each), which is the network's own accuracy and normal luck: the mean over simulated trainings of
// networks whose accuracies spread as these do without their luck. The variance of the luck is the
// mean one of a network's trainings. 0 where networks differ by no more than luck.
double best_kendall(const std::vector<std::vector<double>>& trainings, uint64_t seed);

}  // namespace ridgewalk
