#include "experiments/evidence/way_trials.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace ridgewalk {

// What the ways of a seed work with.
class WayTrials::Seed {
 public:
  Seed(std::string folder, SearchConfig config, int random_networks,
       std::function<Dataset()> read_data)
      : folder_(std::move(folder)),
        config_(std::move(config)),
        random_networks_(random_networks),
        read_data_(std::move(read_data)) {}

  const SearchConfig& config() const { return config_; }

  std::shared_ptr<const Dataset> data() {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<const Dataset> data = data_.lock();
    if (!data) data_ = data = std::make_shared<const Dataset>(read_data_());
    return data;
  }

  WaysContext context(const Dataset& data, const Session& session) const {
    return {folder_, config_, data, session, random_networks_};
  }

 private:
  std::string folder_;
  SearchConfig config_;
  int random_networks_;
  std::function<Dataset()> read_data_;
  std::mutex mutex_;  // guards what follows
  std::weak_ptr<const Dataset> data_;
};

void WayTrials::add(const std::string& prefix, const std::string& folder,
                    const SearchConfig& config, std::function<Dataset()> read_data) {
  const auto seed = std::make_shared<Seed>(folder, config, random_networks_, std::move(read_data));
  const auto data = seed->data();
  check_ways(config, ways_, random_networks_, *data);
  std::vector<Run> runs;
  for (const Way way : ways_) {
    WayRun run = run_of(seed->context(*data, session_), way);
    const auto known = std::find_if(runs.begin(), runs.end(),
                                    [&](const Run& one) { return one.run.name == run.name; });
    if (known != runs.end()) {
      known->ways.push_back(way);
    } else {
      runs.push_back({seed, {way}, std::move(run)});
    }
  }
  for (const Run& run : runs) {
    add_trials(prefix + run.run.name, run);
    runs_.push_back(run);
  }
}

void WayTrials::add_trials(const std::string& name, const Run& run) {
  SharedTrial trial{
      .name = name, .run = runs_.size(), .fingerprint = run.run.fingerprint, .work = {}};
  if (run.ways.front() != Way::kRandomNetworks) {
    trial.work = [run](RunFolder& part, const Session& session) {
      const auto data = run.seed->data();
      for (const Way way : run.ways) run_way(run.seed->context(*data, session), way, part);
    };
    trials_.push_back(trial);
    return;
  }
  const SearchConfig& config = run.seed->config();
  for (const Architecture& member : random_members(config, config.reward, random_networks_)) {
    trial.name = name + "." + member.name;
    trial.work = [run, member](RunFolder& part, const Session& session) {
      const auto data = run.seed->data();
      train_member(run.seed->context(*data, session), member, part);
    };
    trials_.push_back(trial);
  }
}

SharedTrials WayTrials::shared(const std::string& out) const {
  SharedTrials shared{.inputs = "", .trials = trials_, .out = out, .open_runs = {}};
  for (const Run& run : runs_) {
    shared.inputs += run.run.fingerprint + "\n";
    if (run.ways.front() == Way::kRandomNetworks) {
      shared.inputs += "random networks: " + std::to_string(random_networks_) + "\n";
    } else {
      for (const Way way : run.ways) shared.inputs += "way: " + std::string(to_string(way)) + "\n";
    }
  }
  shared.open_runs = [this] {
    std::vector<RunFolder> opened;
    for (const Run& run : runs_) {
      const auto data = run.seed->data();
      opened.push_back(open_run(run.seed->context(*data, session_), run.ways.front()));
    }
    return opened;
  };
  return shared;
}

}  // namespace ridgewalk
