#include "experiments/evidence/rank_phases.h"

#include <mutex>

#include <fmt/format.h>

#include "experiments/run/seed_streams.h"
#include "supernet/training/lanes.h"

namespace ridgewalk {
namespace {

std::string judgement_phase(const NetworkRecord& network) {
  return "shared " + network.architecture.name;
}

// The trainings that each network lacks.
struct RankTrainings {
  std::vector<TrainingTask> tasks;
  std::vector<size_t> networks;  // the one that each task trains
};

RankTrainings missing_trainings(const RankRecipe& recipe, const Trainings& trainings) {
  RankTrainings missing;
  TrainOptions options = recipe.train;
  for (size_t i = 0; i < trainings.networks.size(); ++i) {
    const NetworkRecord& network = trainings.networks[i];
    const std::string& name = network.architecture.name;
    for (int repeat = int(network.trainings.size()); repeat < recipe.repeats; ++repeat) {
      options.seed = stream_seed(trainings.seed, SeedStream::kRankedTraining, uint64_t(repeat));
      missing.tasks.push_back({repeat == 0 ? name : fmt::format("{}.{}", name, repeat + 1),
                               network.architecture, options});
      missing.networks.push_back(i);
    }
  }
  return missing;
}

}  // namespace

void judgement_phases(const SearchContext& context, const SearchSpace& space, SharedJudge& judge,
                      std::vector<NetworkRecord>& networks) {
  RunFolder& run = context.run;
  const RowsOfNetworks same = same_networks(networks);
  std::mutex recording;  // guards the run
  in_lanes(judge.lanes(), int64_t(same.size()), [&](int64_t i) {
    const NetworkRecord& network = networks[same[size_t(i)].front()];
    const std::string phase = judgement_phase(network);
    std::unique_lock lock(recording);
    auto judgement = run.result<SharedJudgement>(phase);
    if (!judgement) {
      lock.unlock();
      judgement = judge(encode(space, network.architecture));
      lock.lock();
      run.begin<Json>(phase);
      run.finish(*judgement);
    }
    for (size_t row : same[size_t(i)]) {
      networks[row].shared_top1 = judgement->top1;
      networks[row].shared_loss = judgement->loss;
      networks[row].proxies = judgement->proxies;
    }
  });
}

void training_phases(const SearchContext& context, const RankRecipe& recipe, Trainings& trainings) {
  const RankTrainings missing = missing_trainings(recipe, trainings);
  const std::vector<TrainingResult> results = training_phases(context, missing.tasks);
  for (size_t i = 0; i < results.size(); ++i) {
    trainings.networks[missing.networks[i]].trainings.push_back(results[i]);
  }
}

std::vector<SharedTrial> rank_trials(const RankRecipe& recipe, const Trainings& trainings,
                                     const SearchSpace& space, const SharedJudge& judge,
                                     const Dataset& data, const std::string& inputs) {
  std::vector<SharedTrial> trials;
  for (const TrainingTask& task : missing_trainings(recipe, trainings).tasks) {
    trials.push_back({.name = task.name,
                      .fingerprint = inputs,
                      .work = [task, &data](RunFolder& part, const Session& session) {
                        training_phase({part, data, session}, task.name, task.architecture,
                                       task.options);
                      }});
  }
  for (const std::vector<size_t>& rows : same_networks(trainings.networks)) {
    const NetworkRecord& network = trainings.networks[rows.front()];
    trials.push_back({.name = "shared-" + network.architecture.name,
                      .fingerprint = inputs,
                      .work = [&, network](RunFolder& part, const Session& session) {
                        const std::string phase = judgement_phase(network);
                        if (part.result<SharedJudgement>(phase)) return;
                        part.begin<Json>(phase);
                        part.finish(judge(encode(space, network.architecture), session.stop));
                      }});
  }
  return trials;
}

}  // namespace ridgewalk
