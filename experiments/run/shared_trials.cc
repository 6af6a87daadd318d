#include "experiments/run/shared_trials.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "space/error.h"
#include "space/file.h"
#include "supernet/training/lanes.h"

namespace ridgewalk {
namespace {

class Sharing {
 public:
  Sharing(const SharedTrials& shared, const Session& session, WorkFolder& folder)
      : shared_(shared), session_(session), folder_(folder) {
    for (const SharedTrial& trial : shared.trials) trials_[trial.name] = &trial;
    at_once_ = std::max(1, std::min(session.compute.lanes, int(shared.trials.size())));
  }

  // Until there is nothing to take.
  void work() {
    std::stop_source stop;
    std::atomic<int> busy = 0;
    in_lanes(
        at_once_, at_once_,
        [&](int64_t) {
          while (!stop.stop_requested()) {
            ++busy;
            const auto taken = folder_.take();
            if (taken) work_on(*taken, stop.get_token());
            --busy;
            // A trial may be given back, or lost by its worker, while another lane is at work.
            if (!taken && busy == 0) return;
            if (!taken) wait();
          }
        },
        stop);
  }

  void wait() const {
    if (interrupted()) throw Interrupted();
    std::this_thread::sleep_for(folder_.patience());
  }

 private:
  void work_on(const TakenTrial& taken, const std::stop_token& lanes) const {
    std::stop_source stop = taken.stop;
    const std::stop_callback also(lanes, [&] { stop.request_stop(); });
    Session own = session_;
    own.compute.lanes = session_.compute.lanes / at_once_;
    own.stop = stop.get_token();
    try {
      finish(*trials_.at(taken.name), taken, own);
    } catch (...) {
      const bool is_mine = folder_.has(taken);
      if (is_mine) folder_.give_back(taken);
      folder_.require_lease();
      if (is_mine) throw;
      say(session_, taken.name + ": another worker has taken it over");
      return;
    }
    folder_.publish(taken);
  }

  // What an earlier worker has left may be damaged: then from the start.
  void finish(const SharedTrial& trial, const TakenTrial& taken, const Session& own) const {
    if (!std::filesystem::is_empty(taken.folder)) {
      try {
        RunFolder part = RunFolder::take_over(taken.folder, trial.fingerprint);
        return trial.work(part, own);
      } catch (const Error& error) {
        if (!folder_.has(taken)) throw;
        say(session_, fmt::format("{}: begins again ({})", trial.name, error.what()));
        for (const auto& entry : std::filesystem::directory_iterator(taken.folder)) {
          std::filesystem::remove_all(entry);
        }
      }
    }
    RunFolder part = RunFolder::take_over(taken.folder, trial.fingerprint);
    trial.work(part, own);
  }

  const SharedTrials& shared_;
  const Session& session_;
  WorkFolder& folder_;
  std::map<std::string, const SharedTrial*> trials_;
  int at_once_ = 1;
};

RunFolder results_of(const WorkFolder& folder, const SharedTrial& trial) {
  const std::string results = folder.results(trial.name);
  try {
    return RunFolder::finished(results, trial.fingerprint);
  } catch (const Error&) {
    throw Error(results, 0, "is damaged; remove it, and the same command does that trial again");
  }
}

// Whether all runs have all results: not where another process leads meanwhile.
bool adopt_all(WorkFolder& folder, const SharedTrials& shared, std::vector<RunFolder>& runs) {
  for (const SharedTrial& trial : shared.trials) {
    if (folder.leader() != WorkFolder::Leader::kThis) return false;
    runs[trial.run].adopt(results_of(folder, trial));
  }
  return true;
}

// Nothing where another process is still at work in them: one that led, and was slow.
std::vector<RunFolder> opened(const SharedTrials& shared, const Session& session) {
  try {
    return shared.open_runs();
  } catch (const RunFolder::InUse& error) {
    say(session, std::string(error.what()) + "; this worker waits for it");
    return {};
  }
}

// All that workers must agree on.
std::string inputs_of(const Workers& workers, const SharedTrials& shared) {
  std::string inputs = fmt::format("{}\nlease: {:g} s\n", shared.inputs, workers.lease_seconds);
  for (const SharedTrial& trial : shared.trials) inputs += "trial: " + trial.name + "\n";
  return inputs;
}

}  // namespace

std::optional<Leadership> share_out(const Workers& workers, const SharedTrials& shared,
                                    const Session& session) {
  using Leader = WorkFolder::Leader;
  std::vector<std::string> names;
  for (const SharedTrial& trial : shared.trials) names.push_back(trial.name);
  Leadership lead{std::make_unique<WorkFolder>(workers.folder, inputs_of(workers, shared), names,
                                               workers.lease_seconds),
                  {}};
  WorkFolder& folder = *lead.folder;
  Sharing sharing(shared, session, folder);
  try {
    for (bool has_worked = false;; has_worked = true) {
      const Leader leader = folder.leader();
      if (leader != Leader::kThis) lead.runs.clear();  // they are for the one that leads now
      if (leader == Leader::kThis) {
        // Refuses a folder of other results before any work.
        if (lead.runs.empty()) lead.runs = opened(shared, session);
        if (!lead.runs.empty() && folder.all_done() && adopt_all(folder, shared, lead.runs)) {
          return lead;
        }
      } else if (has_worked && leader != Leader::kUnknown) {
        fmt::print("no trial is left to take; the results {} in {}, or in the --out of who leads\n",
                   leader == Leader::kFinished ? "are" : "will be", shared.out);
        return std::nullopt;
      }
      sharing.work();
      const bool is_ready = leader == Leader::kThis && !lead.runs.empty() && folder.all_done();
      if (!is_ready) sharing.wait();
    }
  } catch (const Interrupted&) {
    throw Interrupted("interrupted; the same command resumes");
  }
}

}  // namespace ridgewalk
