// Ways to come to a network, at the same number of training images and the same latency target,
// over several seeds: what a search is worth.
#pragma once

#include <string>
#include <vector>

#include "experiments/run/search_run.h"

namespace ridgewalk {

// two-stage: TuNAS, coarse then fine. one-stage: TuNAS over everything at once. random-search,
// evolution: one supernet trained on uniform samples, then the best of those tried with it.
// random-networks: no search at all.
enum class Way { kTwoStage, kOneStage, kRandomSearch, kEvolution, kRandomNetworks };
std::string to_string(Way way);
// Throws Error.
Way way_named(const std::string& name);

// One network of a way and a seed, trained from scratch.
struct Entry {
  Way way = {};
  uint64_t seed = 0;
  Architecture architecture;
  std::vector<double> of_target;  // predicted latency over the target's
  Json shared;                    // accuracy with shared weights; null without a supernet
  Json trained;                   // result of training_phase()
  // Of the search, without the training from scratch; evolution's with random search's trials
  // before its own, whose supernet it shares.
  double seconds = 0;
};

// Everything that can be refused before anything is written: sections that `ways` need, training
// images that differ between them, targets out of reach. Throws Error.
void check_comparison(const SearchConfig& config, const std::vector<Way>& ways, int random_networks,
                      const Dataset& data);

// Runs a way with the configuration's seed in FOLDER/WAY-SEED (evolution in its random-search's
// folder: they share the supernet), going on where it was stopped before.
std::vector<Entry> run_way(const std::string& folder, const SearchConfig& config, Way way,
                           int random_networks, const Dataset& data, const Session& session);

// What searching does to an architecture: means over its UIBs.
struct Build {
  double width = 0;
  double expansion = 0;
  int uibs = 0;
};
Build build_of(const Architecture& architecture);

// By way: {way, networks, figures...: {mean, low, high}}, 95 % intervals of the mean (Student's t;
// over the seeds, whose random networks count as one),
// and the test accuracy less that of the seed's random networks, mean and standard error over the
// seeds; of two-stage also less that of one-stage, with the difference in latency.
Json summary_json(const std::vector<Entry>& entries);
Json entries_json(const std::vector<Entry>& entries);
// Both as text.
std::string comparison_text(const Json& summary, const Json& entries);

}  // namespace ridgewalk
