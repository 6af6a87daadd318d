// Ways to come to a network, run at the same number of training images and the same latency target.
#pragma once

#include <string>
#include <vector>

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

// Runs a way with the configuration's seed, from where it was stopped before. Evolution runs in the
// folder of random search: they share the supernet.
std::vector<NetworkRecord> run_way(const WaysContext& context, Way way);

}  // namespace ridgewalk
