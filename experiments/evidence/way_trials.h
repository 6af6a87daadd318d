// The work of a comparison as trials that processes share out: each search with the training of
// what it finds, evolution with random search, and the training of each random network.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "experiments/evidence/ways.h"
#include "experiments/run/shared_trials.h"

namespace ridgewalk {

class WayTrials {
 public:
  // `session` must outlive what is made of it here.
  WayTrials(std::vector<Way> ways, int random_networks, const Session& session)
      : ways_(std::move(ways)), random_networks_(random_networks), session_(session) {}

  // The ways of the configuration's seed, whose runs are in `folder`. The names of their trials
  // begin with `prefix`. Images are in memory only while they are needed. Throws what check_ways()
  // does.
  void add(const std::string& prefix, const std::string& folder, const SearchConfig& config,
           std::function<Dataset()> read_data);

  // `out` is where the user looks for the results.
  SharedTrials shared(const std::string& out) const;

 private:
  class Seed;
  using SeedPointer = std::shared_ptr<Seed>;
  struct Run {
    SeedPointer seed;
    std::vector<Way> ways;
    WayRun run;
  };

  void add_trials(const std::string& name, const Run& run);

  std::vector<Way> ways_;
  int random_networks_;
  const Session& session_;
  std::vector<Run> runs_;
  std::vector<SharedTrial> trials_;
};

}  // namespace ridgewalk
