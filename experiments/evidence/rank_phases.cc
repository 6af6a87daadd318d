#include "experiments/evidence/rank_phases.h"

#include <mutex>

#include <fmt/format.h>

#include "experiments/evidence/int8_accuracy.h"
#include "experiments/run/interrupt.h"
#include "experiments/run/seed_streams.h"
#include "space/error.h"
#include "space/file.h"
#include "supernet/training/lanes.h"

namespace ridgewalk {
namespace {

std::string judgement_phase(const NetworkRecord& network) {
  return "shared " + network.architecture.name;
}

// "network-007", its second training "network-007.2".
std::string training_name(const std::string& network, int repeat) {
  return repeat == 0 ? network : fmt::format("{}.{}", network, repeat + 1);
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
      missing.tasks.push_back({training_name(name, repeat), network.architecture, options});
      missing.networks.push_back(i);
    }
  }
  return missing;
}

uint64_t int8_seed(const Trainings& trainings) {
  return stream_seed(trainings.seed, SeedStream::kInt8Calibration);
}

std::string weights_of(const std::string& training, const std::string& folder) {
  return folder + "/" + training + ".safetensors";
}

std::string int8_phase_name(const std::string& training) { return "int8 " + training; }

// Test top-1 in int8 of a training whose weights lie in `folder`.
double int8_phase(const RunContext& context, const std::string& training,
                  const Architecture& architecture, const std::string& folder, uint64_t seed) {
  const std::string phase = int8_phase_name(training);
  if (const auto known = context.run.result<SplitAccuracy>(phase)) return known->top1;
  const std::string weights = weights_of(training, folder);
  if (interrupted() || context.session.stop.stop_requested()) throw Interrupted();
  context.run.begin<Json>(phase);
  const Accuracy accuracy =
      int8_accuracy(architecture, weights, context.data, seed, context.session.compute);
  require_finite(accuracy, weights);
  context.run.finish(SplitAccuracy(accuracy));
  return accuracy.top1;
}

// The trainings that networks have from an earlier ranking: name and architecture.
std::vector<std::pair<std::string, Architecture>> earlier_trainings(const Trainings& trainings) {
  std::vector<std::pair<std::string, Architecture>> earlier;
  for (const NetworkRecord& network : trainings.networks) {
    for (int repeat = 0; repeat < int(network.trainings.size()); ++repeat) {
      earlier.emplace_back(training_name(network.architecture.name, repeat), network.architecture);
    }
  }
  return earlier;
}

}  // namespace

void require_earlier_weights(const RankRecipe& recipe, const Trainings& trainings) {
  if (!recipe.in_int8) return;
  for (const auto& [training, architecture] : earlier_trainings(trainings)) {
    const std::string weights = weights_of(training, recipe.trained);
    if (path_exists(weights)) continue;
    throw Error(weights, 0,
                "does not exist; --quantized needs it: give --trained the ranking that trained it");
  }
}

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
      networks[row].shared_int8_top1 = judgement->int8_top1;
      networks[row].proxies = judgement->proxies;
    }
  });
}

void training_phases(const SearchContext& context, const RankRecipe& recipe, Trainings& trainings) {
  const RankTrainings missing = missing_trainings(recipe, trainings);
  std::vector<size_t> earlier;
  for (const NetworkRecord& network : trainings.networks) {
    earlier.push_back(network.trainings.size());
  }
  const std::vector<TrainingResult> results = training_phases(context, missing.tasks);
  for (size_t i = 0; i < results.size(); ++i) {
    trainings.networks[missing.networks[i]].trainings.push_back(results[i]);
  }
  if (!recipe.in_int8) return;
  const std::string own = context.run.file("");
  for (size_t i = 0; i < trainings.networks.size(); ++i) {
    NetworkRecord& network = trainings.networks[i];
    for (size_t repeat = 0; repeat < network.trainings.size(); ++repeat) {
      network.int8_test_top1.push_back(int8_phase(
          context, training_name(network.architecture.name, int(repeat)), network.architecture,
          repeat < earlier[i] ? recipe.trained : own, int8_seed(trainings)));
    }
  }
}

std::vector<SharedTrial> rank_trials(const RankRecipe& recipe, const Trainings& trainings,
                                     const SearchSpace& space, const SharedJudge& judge,
                                     const Dataset& data, const std::string& inputs) {
  std::vector<SharedTrial> trials;
  for (const TrainingTask& task : missing_trainings(recipe, trainings).tasks) {
    trials.push_back({.name = task.name,
                      .fingerprint = inputs,
                      .work = [task, &recipe, &data, seed = int8_seed(trainings)](
                                  RunFolder& part, const Session& session) {
                        const RunContext context{part, data, session};
                        training_phase(context, task.name, task.architecture, task.options);
                        if (recipe.in_int8) {
                          int8_phase(context, task.name, task.architecture, part.file(""), seed);
                        }
                      }});
  }
  if (recipe.in_int8) {
    for (const auto& [training, architecture] : earlier_trainings(trainings)) {
      trials.push_back(
          {.name = "int8-" + training,
           .fingerprint = inputs,
           .work = [training = training, architecture = architecture, &recipe, &data,
                    seed = int8_seed(trainings)](RunFolder& part, const Session& session) {
             int8_phase({part, data, session}, training, architecture, recipe.trained, seed);
           }});
    }
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
