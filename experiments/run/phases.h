// The phases of a run: a search stage, a training from scratch. Each can be stopped at any step and
// goes on from the run's checkpoint.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "experiments/run/config.h"
#include "experiments/run/run_folder.h"

namespace ridgewalk {

// How the phases of a run compute, and how much they say.
struct Session {
  Compute compute;
  bool quiet = false;
  int checkpoint_every = 100;  // steps
};

// Says how many files of an image folder could not be decoded so far, if any.
void say_damaged(const Dataset& data, const Session& session);

// The reward with every target's latency multiplied.
Reward scaled_targets(Reward reward, double factor);

// {name, ridge_point, latency_macs} each; the last two null for a range of ridge points.
Json targets_json(const Reward& reward);

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

// Tries architectures of a space with the weights of a supernet that is trained: `search`
// gets everything to do so, and its candidates in the order tried are returned. Each accuracy is
// kept as soon as it is known. Leaves finishing the phase to the caller.
std::vector<Candidate> trial_phase(
    RunFolder& run, const std::string& phase, Supernet& supernet, const SearchSpace& space,
    const Reward& reward, int trials, uint64_t seed, const Session& session,
    const std::function<std::vector<Candidate>(const Trial&, std::mt19937_64&)>& search);

// Accuracy with its split and weights, reward and latency of a candidate.
Json candidate_json(const Candidate& candidate, const Reward& reward);

// Trains an architecture from scratch and returns its accuracy on every split; leaves
// NAME.safetensors. `train`, `search_validation` (null where nothing is held out) and `test` of the
// result are each {split, images, top1, top5, loss}; of the training images at most 10000, without
// augmentation. `teacher` and `ema` are there where the options ask for them.
Json training_phase(RunFolder& run, const std::string& name, const Architecture& architecture,
                    const TrainOptions& options, const Dataset& data, const Session& session);

// "train 98.12 % of 10000 images without augmentation, search-validation 91.02 %, test 90.48 %".
std::string top1_text(const Json& training_result);

}  // namespace ridgewalk
