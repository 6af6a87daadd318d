// Networks with figures that were never measured, to compute with.
#pragma once

#include <string>
#include <vector>

#include "experiments/run/network_record.h"
#include "space/catalog.h"

namespace ridgewalk {

inline TrainingResult training(double held_out, double test) {
  TrainingResult result{.architecture = "n", .data = "images", .weights = "from scratch"};
  result.search_validation.emplace().top1 = held_out;
  result.test.top1 = test;
  return result;
}

// One training for each of `tests`.
inline NetworkRecord trained_network(const std::string& architecture, double held_out,
                                     const std::vector<double>& tests) {
  NetworkRecord network{.architecture = find_architecture(architecture)};
  for (double test : tests) network.trainings.push_back(training(held_out, test));
  return network;
}

}  // namespace ridgewalk
