// The phases of a run: a search stage, a training from scratch. Each can be stopped at any step and
// goes on from the run's checkpoint.
#pragma once

#include <optional>
#include <string>

#include "experiments/config.h"
#include "experiments/run_folder.h"

namespace ridgewalk {

// How a phase runs on this machine, and how much it says.
struct Session {
  Machine machine;
  bool quiet = false;
  int checkpoint_every = 100;  // steps
};

// The reward with every target's latency multiplied.
Reward scaled_targets(Reward reward, double factor);

// Where a stage leaves the weights of its supernet.
std::string supernet_file(const std::string& folder, SearchStage stage);

// Searches one stage and returns its result, which names every accuracy with its split and weights:
//   space, size, share_in_common, targets, argmax, candidates, best (decisions, probability,
//   accuracy, reward, latency), chosen, probabilities, architecture (YAML)
// Leaves its supernet_file(). `weights_folder` is where the stage before
// left its own, for a warm start. Returns at once when the run has the result already.
Json search_phase(RunFolder& run, const SearchConfig& config, SearchStage stage,
                  const std::optional<SearchSpace>& previous_space,
                  const std::optional<Architecture>& previous, const std::string& weights_folder,
                  const Dataset& data, const Session& session);

// Trains an architecture from scratch and returns its accuracy on every split; leaves
// NAME.safetensors. `train`, `search_validation` (null where nothing is held out) and `test` of the
// result are each {split, images, top1, top5, loss}; of the training images at most 10000, without
// augmentation. `teacher` and `ema` are there where the options ask for them.
Json training_phase(RunFolder& run, const std::string& name, const Architecture& architecture,
                    const TrainOptions& options, const Dataset& data, const Session& session);

// "train 98.12 % of 10000 images without augmentation, search-validation 91.02 %, test 90.48 %".
std::string top1_text(const Json& training_result);

}  // namespace ridgewalk
