// A run's trials that processes share out: --workers.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/run/context.h"
#include "experiments/run/run_folder.h"
#include "experiments/run/work_folder.h"

namespace ridgewalk {

// One training, or other work that depends on no other trial.
struct SharedTrial {
  std::string name;
  size_t run = 0;           // place, in the leader's list, of the run that it is a part of
  std::string fingerprint;  // of that run
  // Finishes its phases in a run of its own, from where an earlier worker has left it.
  std::function<void(RunFolder& part, const Session& session)> work;
};

struct SharedTrials {
  std::string inputs;  // all that the trials depend on
  std::vector<SharedTrial> trials;
  std::string out;  // where the results will be if this process leads, to say so
  // Opens the runs that the trials are parts of. Called by the process that leads.
  std::function<std::vector<RunFolder>()> open_runs;
};

// The process that leads does so for as long as this lives.
struct Leadership {
  std::unique_ptr<WorkFolder> folder;
  std::vector<RunFolder> runs;
};

// Works on the trials, as many at a time as the session has lanes. Where this process leads, it
// returns when all are done and their runs have the results; Leadership::folder is to be told when
// what comes after is done, too. Where another one does, nothing when no trial is left to take,
// after a line about it.
std::optional<Leadership> share_out(const Workers& workers, const SharedTrials& shared,
                                    const Session& session);

}  // namespace ridgewalk
