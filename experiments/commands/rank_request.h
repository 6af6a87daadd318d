// What `ridgewalk rank` is asked for.
#pragma once

#include <cstdint>
#include <string>

#include "experiments/commands/command_line.h"
#include "experiments/evidence/rank_phases.h"
#include "experiments/run/config.h"

namespace ridgewalk {

struct RankRequest {
  std::string folder;  // of the run with the supernet
  SearchConfig config;
  SearchStage stage = {};
  int count = 0, repeats = 0, tune_steps = 0;
  double tolerance = 0;
  uint64_t seed = 0;
  std::string trained;  // folder of an earlier ranking, or empty
  // Instead of trainings of one's own.
  struct {
    std::string table, code, accuracy;  // files; empty where not given
    bool all = true;                    // of its networks, else `count`
    size_t rows = 0, in_space = 0;      // of the table; known once it is read
  } truth;

  bool in_int8 = false;  // beside fp32
  bool with_proxies = true;
  bool quiet = false;

  bool has_truth() const { return !truth.table.empty(); }
  RankRecipe recipe() const { return {config.train, repeats, in_int8, trained}; }
};

CommandLine rank_command_line();
// Throws Error for a folder without a supernet, and for options that exclude each other.
RankRequest rank_request(const CommandLine& line);

}  // namespace ridgewalk
