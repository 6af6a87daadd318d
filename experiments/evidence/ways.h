// Ways to come to a network, run at the same number of training images and the same latency target.
#pragma once

#include <string>
#include <vector>

#include "experiments/run/results.h"
#include "experiments/run/run_folder.h"
#include "experiments/run/search_run.h"

namespace ridgewalk {

// What the ways of one seed have in common.
struct WaysContext {
  std::string folder;  // a way's run is in FOLDER/WAY-SEED
  const SearchConfig& config;
  const Dataset& data;
  const Session& session;
  int random_networks = 0;
};

// Everything that can be refused before anything is written: sections that `ways` need, numbers of
// training images that differ between them, targets out of reach. Throws Error.
void check_ways(const SearchConfig& config, const std::vector<Way>& ways, int random_networks,
                const Dataset& data);

// The run of a way with the configuration's seed. Evolution has that of random search: they share
// the supernet.
struct WayRun {
  std::string name;         // WAY-SEED
  std::string fingerprint;  // all that its results depend on
};
WayRun run_of(const WaysContext& context, Way way);
RunFolder open_run(const WaysContext& context, Way way);

// Runs a way from where it was stopped before.
std::vector<NetworkRecord> run_way(const WaysContext& context, Way way);
// The same in another folder than its own.
std::vector<NetworkRecord> run_way(const WaysContext& context, Way way, RunFolder& run);

// The training of a random network of a seed.
TrainingResult train_member(const WaysContext& context, const Architecture& member, RunFolder& run);

}  // namespace ridgewalk
