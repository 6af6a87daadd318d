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

// Says how many files of an image folder could not be decoded so far, if any.
void say_damaged(const Dataset& data, const Session& session);

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

// Trains an architecture from scratch and returns its accuracy on search-validation and test
// images; leaves NAME.safetensors.
Json training_phase(RunFolder& run, const std::string& name, const Architecture& architecture,
                    const TrainOptions& options, const Dataset& data, const Session& session);

}  // namespace ridgewalk
