// The main job: coarse, fine and hybrid search, then the found networks beside others of the same
// latency, all trained from scratch alike.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "experiments/run/network_record.h"
#include "experiments/run/search_phase.h"

namespace ridgewalk {

// What a run of `search` does.
struct SearchPlan {
  // Times networks on this machine; what it returns stands in result.yaml and the report.
  std::function<Json(const std::vector<Architecture>&, const Profile&)> measure = {};
  Recalibration recalibration = {};

  std::vector<SearchStage> stages;
  // Afterwards the found networks, a reference and random networks are trained from scratch. Needs
  // the stages fine and hybrid.
  bool trains_networks = false;
};

struct SearchOutcome {
  std::vector<StageOutcome> stages;
  std::vector<NetworkRecord> networks;  // empty unless the plan trains them
  Json measured = {};                   // where the plan measures
};

// The name of a network's files and phases in a run.
std::string file_name(const NetworkRecord& network);

// Throws Error when the data do not fit the space, or labels or a teacher are of other data.
void check_data(const SearchConfig& config, const Dataset& data);

// Everything that can be refused before anything is trained or written: a target that no
// architecture of the stages' spaces can reach, targets that too few random networks meet, options
// that do not fit together, what check_data() refuses, an earlier run in `from` (empty for none)
// that lacks what the first stage needs. Returns what the first stage starts from. Throws Error.
StartingPoint check_search(const SearchConfig& config, const SearchPlan& plan,
                           const std::string& from, const Dataset& data);

// The stage called `name`; if empty, the first of single, coarse, fine, hybrid that left a supernet
// in `folder`. Throws Error when there is none.
SearchStage stage_of_run(const std::string& folder, const std::string& name);

// The configuration of the search in `folder`. Throws Error when that holds no supernet: the run of
// a training has a config.yaml of another kind.
SearchConfig config_of_run(const std::string& folder);

// The space that `stage` of the run in `folder` searched, for its shared weights. Throws Error when
// the run has no result of it.
SearchSpace searched_space(const SearchConfig& config, const std::string& folder,
                           SearchStage stage);

// What the laws of the calibrated target were corrected by until the end of `stage` of the run in
// `folder`, by this run and those that it started from; 1 where they were not.
double law_factor_of_run(const std::string& folder, SearchStage stage);

// Leaves result.yaml, the architectures and their weights.
SearchOutcome run_search(const SearchContext& context, const SearchPlan& plan,
                         const StartingPoint& start);

// `architecture` with the width multiplier (steps of 0.01) that brings the largest of its ratios to
// the targets nearest to 1, or to limits where there are only those, and exceeds no limit, or
// exceeds them least; as it is where that is no farther. Needs at least one target.
Architecture scale_to_latency(const Architecture& architecture, const Reward& reward);

// Up to `count` different uniform samples, random-01 and so on, of the convolutional space that the
// coarse and fine stages search, whose latency is within `config.random_tolerance` of every
// target's. Throws Error where a million samples hold none.
std::vector<Architecture> random_members(const SearchConfig& config, const Reward& reward,
                                         int count);
// Throws Error where there are fewer than `count`.
void require_random_members(const SearchConfig& config, const Reward& reward, int count);

}  // namespace ridgewalk
