// Networks with what their own trainings gave: the truth that other judgements are held against.
#pragma once

#include <string>
#include <vector>

#include "experiments/run/run_folder.h"
#include "space/architecture.h"

namespace ridgewalk {

struct TrainedNetwork {
  Architecture architecture;
  std::vector<Json> trainings;  // results of training_phase(), one a seed
};

struct Trainings {
  std::string data;       // set of images
  std::string made_with;  // what else the accuracies depend on: split, precision, labels
  std::string recipe;     // YAML of the training
  uint64_t seed = 0;      // that the seed of each training comes from
  std::vector<TrainedNetwork> networks;
};

// JSON, of a file that read_trainings() takes.
std::string trainings_text(const Trainings& trainings);
// Throws Error naming the file when it cannot be read or is something else.
Trainings read_trainings(const std::string& path);

}  // namespace ridgewalk
