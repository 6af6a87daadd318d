#include "experiments/commands/rank_request.h"

#include <algorithm>
#include <utility>

#include "experiments/run/search_run.h"
#include "space/error.h"

namespace ridgewalk {

CommandLine rank_command_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "rank RUN --out DIR [--networks N] [--truth CSV] [--stage S] [--resume] [--workers DIR]",
      "How far a run's supernet can be trusted: samples networks of the run's target\n"
      "latency, trains each from scratch, and compares that with their accuracy with\n"
      "shared weights: Kendall's tau, Spearman, the regret of the one it would choose.",
      "run", 1);
  line.add()("out", po::value<std::string>(), "folder of this ranking");
  line.add_number<int>("networks", 3, 10000, "to train", 30);
  line.add()(
      "stage", po::value<std::string>(),
      "whose supernet (default: the first that the run has of single, coarse, fine, hybrid)");
  line.add()("truth", po::value<std::string>(),
             "CSV of networks that others have trained, with their accuracies: nothing is trained");
  line.add()("code", po::value<std::string>(),
             "YAML that says what the names of --truth's networks stand for");
  line.add()("accuracy", po::value<std::string>(),
             "how the names of --truth's columns of accuracies begin, where there are several");
  line.add()("trained", po::value<std::string>(),
             "an earlier ranking whose networks and trainings are used");
  line.add_number<int>("repeats", 1, 100, "trainings of each network, including those of --trained",
                       1);
  line.add_number<double>("tolerance", 1e-6, 10, "by which networks may miss the latency target",
                          0.05);
  line.add_number<int>(
      "validation-batch-size", 2, 65536,
      "images whose statistics batch norm uses with shared weights, if not the run's");
  line.add_number<int>(
      "tune-steps", 0, 1'000'000,
      "steps of the run's batch size that a copy of the shared weights trains on each "
      "network alone before it is judged",
      0);
  line.add()("quantized",
             "also in int8: each training after rounding, and the supernet's judgement with "
             "rounded weights and values");
  line.add()("no-proxies", "leave the training-free proxies out, which take seconds per network");
  line.add()("config", po::value<std::string>(),
             "YAML of the training from scratch, if not the run's");
  line.add_seed("of the sample and of the training", 0);
  line.add()("resume", "continue the ranking in --out");
  line.add_data_options(false);
  line.add_loader_options();
  line.add_lanes_options("trainings, tunings and batches of an evaluation");
  line.add_workers_options("its trainings and judgements");
  return line;
}

RankRequest rank_request(const CommandLine& line) {
  RankRequest request;
  request.folder = line.words()[0];
  request.config = config_of_run(request.folder);
  request.stage =
      stage_of_run(request.folder, line.has("stage") ? line.get<std::string>("stage") : "");
  request.count = line.get<int>("networks");
  request.repeats = line.get<int>("repeats");
  request.tolerance = line.get<double>("tolerance");
  if (line.has("validation-batch-size")) {
    request.config.weights.validation_batch_size = line.get<int>("validation-batch-size");
  }
  for (const auto& [option, value] :
       {std::pair("truth", &request.truth.table), std::pair("code", &request.truth.code),
        std::pair("accuracy", &request.truth.accuracy)}) {
    if (line.has(option)) *value = line.get<std::string>(option);
  }
  request.in_int8 = line.has("quantized");
  request.with_proxies = !line.has("no-proxies");
  request.truth.all = !line.given("networks");
  for (const char* option : {"trained", "repeats", "config", "quantized"}) {
    if (request.has_truth() && line.given(option)) {
      throw Error("--truth brings its trainings; leave --" + std::string(option) + " out");
    }
  }
  for (const char* option : {"code", "accuracy"}) {
    if (!request.has_truth() && line.has(option)) {
      throw Error("--" + std::string(option) + " is for the table of --truth; give that too");
    }
  }
  for (const char* option : {"networks", "tolerance", "seed"}) {
    if (line.has("trained") && line.given(option)) {
      throw Error("--trained brings its networks and their seed; leave --" + std::string(option) +
                  " out");
    }
  }
  request.tune_steps = line.get<int>("tune-steps");
  request.seed = line.seed();
  if (line.has("trained")) request.trained = line.get<std::string>("trained");
  request.config.weights.steps = std::max(1, request.tune_steps);
  request.config.weights.optimizer.learning_rate =
      request.config.stages.at(request.stage).learning_rate;
  return request;
}

}  // namespace ridgewalk
