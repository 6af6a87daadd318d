// Networks with the results of their own trainings: the truth that other judgements are compared
// with.
#pragma once

#include <string>
#include <vector>

#include "experiments/run/network_record.h"

namespace ridgewalk {

struct Trainings {
  std::string data = {};       // set of images
  std::string made_with = {};  // what else accuracies depend on: split, precision, ...
  std::string recipe = {};     // YAML of the training
  uint64_t seed = 0;           // that the seed of each training comes from
  std::vector<NetworkRecord> networks = {};  // architectures and trainings
};

// JSON, of a file that read_trainings() takes.
std::string trainings_text(const Trainings& trainings);
// Throws Error naming the file when it cannot be read or is something else.
Trainings read_trainings(const std::string& path);

}  // namespace ridgewalk
