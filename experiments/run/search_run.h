// The main job: coarse, fine and hybrid search, then the found networks against others of the same
// latency, trained alike from scratch.
#pragma once

#include <string>
#include <vector>

#include "experiments/run/phases.h"

namespace ridgewalk {

// A network of the comparison.
struct Contender {
  std::string name;
  std::string kind;  // "found", "reference", "random"
  Architecture architecture;
  Json shared;  // accuracy with shared weights, null when no supernet of the run holds it
  Json trained;
};

struct SearchOutcome {
  std::vector<SearchStage> stages;
  std::vector<Contender> contenders;  // empty unless all stages ran
};

// What the first stage of a run starts from: nothing for coarse, else an earlier run.
struct StartingPoint {
  std::optional<Architecture> architecture;
  std::optional<SearchSpace> space;  // of the stage before
  std::string weights_folder;        // where that stage left its supernet
};

// Refuses data that do not fit the space, labels or a teacher of other data: throws Error.
void check_data(const SearchConfig& config, const Dataset& data);

// Everything that can be refused before anything is trained or written: a target that no
// architecture of the stages' spaces can reach, options that do not fit together, what
// check_data() refuses, an earlier run in `from` (empty for none) that lacks what the first stage
// needs. Throws Error.
StartingPoint check_search(const SearchConfig& config, const std::vector<SearchStage>& stages,
                           const std::string& from, const Dataset& data);

// "coarse", "fine", ... Throws Error for another name.
SearchStage stage_named(const std::string& name);

// The stage called `name`; if empty, the first of single, coarse, fine, hybrid that left a supernet
// in `folder`. Throws Error
// when there is none.
SearchStage stage_of_run(const std::string& folder, const std::string& name);

// The space that `stage` of the run in `folder` searched, for its shared weights. Throws Error when
// the run has no result of it.
SearchSpace searched_space(const SearchConfig& config, const std::string& folder,
                           SearchStage stage);

// Runs `stages` in their order. With all three the comparison follows.
SearchOutcome run_search(RunFolder& run, const SearchConfig& config,
                         const std::vector<SearchStage>& stages, const StartingPoint& start,
                         const Dataset& data, const Session& session);

// `architecture` with the width multiplier (steps of 0.01) that brings its latency nearest to the
// target's.
Architecture scale_to_latency(const Architecture& architecture, const Target& target);

// A uniform sample of the space whose latency is within `tolerance` of the target's. Throws Error
// when a million samples hold none.
Architecture random_architecture(const SearchSpace& space, const Target& target, double tolerance,
                                 uint64_t seed);

}  // namespace ridgewalk
