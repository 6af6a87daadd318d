// The phases of a run that search: a stage with the training of its supernet, and trials with
// shared weights that are trained. Each can be stopped at any step and resumes from the run's
// checkpoint.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "experiments/run/context.h"
#include "experiments/run/recalibration.h"
#include "experiments/run/results.h"

namespace ridgewalk {

// What a search stage starts from: nothing, or the stage before.
struct StartingPoint {
  std::optional<Architecture> architecture = {};  // its result
  std::optional<SearchSpace> space = {};          // that it searched
  std::string weights_folder = {};                // where it left its supernet_file()
  double law_factor = 1;  // on the laws of the calibrated machine, by earlier stages
};

// The reward with every target's latency multiplied; limits and other resources stay.
Reward scaled_targets(Reward reward, double factor);

// Where a stage leaves the weights of its supernet.
std::string supernet_file(const std::string& folder, SearchStage stage);

// Searches one stage and leaves its supernet_file(), unless a proxy judges. Returns at once when
// the run already has the result.
StageOutcome search_phase(const SearchContext& context, SearchStage stage,
                          const StartingPoint& start, const Recalibration& recalibration = {});

// Architectures of `space` to be tried with the trained weights of `supernet`.
struct Trials {
  Supernet& supernet;
  const SearchSpace& space;
  const Reward& reward;
  int count = 0;
  uint64_t seed = 0;
};
// `search` tries them and returns its candidates in the order tried. Each accuracy is kept as soon
// as it is known. The caller finishes the phase.
std::vector<Candidate> trial_phase(
    const RunContext& context, const std::string& phase, const Trials& trials,
    const std::function<std::vector<Candidate>(const Trial&, std::mt19937_64&)>& search);

}  // namespace ridgewalk
