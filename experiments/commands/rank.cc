#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "experiments/commands/command_line.h"
#include "experiments/evidence/ranking.h"
#include "experiments/evidence/trainings.h"
#include "experiments/report/network_report.h"
#include "experiments/report/report.h"
#include "experiments/run/fingerprint.h"
#include "experiments/run/interrupt.h"
#include "experiments/run/search_run.h"
#include "roofline/statistics.h"
#include "space/error.h"
#include "space/file.h"
#include "space/yaml.h"
#include "supernet/formats/weights.h"

namespace ridgewalk {
namespace {

constexpr const char* kTrainings = "trainings.json";

std::vector<double> top1_of(const std::vector<Json>& trainings, const char* split) {
  std::vector<double> list;
  for (const Json& training : trainings) {
    list.push_back(training[split].is_object() ? training[split]["top1"].get<double>() : 0);
  }
  return list;
}

// What the shared weights give a network, kept in the run.
template <class Judge>
Json shared_phase(RunFolder& run, const std::string& name, Judge judge) {
  const std::string phase = "shared " + name;
  if (const Json* result = run.result(phase)) return *result;
  run.begin(phase);
  const Accuracy accuracy = judge();
  run.finish({{"top1", accuracy.top1}, {"loss", accuracy.loss}});
  return *run.result(phase);
}

Trainings untrained(const SearchSpace& space, const CostTable& table, const Reward& reward,
                    double tolerance, int count, uint64_t seed) {
  Trainings trainings{.data = {}, .made_with = {}, .recipe = {}, .seed = seed, .networks = {}};
  std::mt19937_64 random(mix(seed, 600));
  for (const Decisions& decisions :
       samples_near_targets(space, table, reward, tolerance, count, random)) {
    Architecture architecture = decode(space, decisions);
    architecture.name = fmt::format("network-{:03}", trainings.networks.size());
    trainings.networks.push_back({architecture, {}});
  }
  if (int(trainings.networks.size()) < count) {
    throw Error(
        fmt::format("space '{}' has but {} networks near the targets; allow a larger "
                    "--tolerance or fewer --networks",
                    space.name, trainings.networks.size()));
  }
  return trainings;
}

// One text for one recipe, however its YAML is laid out; what it says can be pasted into a file.
std::string one_line(YAML::Node recipe) {
  recipe.SetStyle(YAML::EmitterStyle::Flow);
  return YAML::Dump(recipe);
}

Trainings trained_before(const std::string& folder, const std::string& data,
                         const std::string& made_with, const std::string& recipe) {
  const std::string path = folder + "/" + kTrainings;
  Trainings trainings = read_trainings(path);
  trainings.recipe = one_line(parse_yaml(trainings.recipe, path).node);
  if (trainings.data != data) {
    throw Error(path, 0, "holds trainings on " + trainings.data + ", not on " + data);
  }
  if (trainings.made_with != made_with) {
    throw Error(path, 0, "holds trainings with " + trainings.made_with + ", not with " + made_with);
  }
  if (trainings.recipe != recipe) {
    throw Error(path, 0,
                "holds trainings of another recipe; give it by --config: " + trainings.recipe);
  }
  return trainings;
}

RankedNetwork ranked(const TrainedNetwork& network, const Json& shared,
                     const std::vector<double>& of_target) {
  const NetworkCost cost = network_cost(lower(network.architecture));
  return {.name = network.architecture.name,
          .shared_top1 = shared["top1"],
          .shared_loss = shared["loss"],
          .alone_top1 = top1_of(network.trainings, "search_validation"),
          .alone_test = top1_of(network.trainings, "test"),
          .parameters = double(cost.parameters),
          .macs = cost.macs.value,
          .of_target = of_target};
}

// The files of a ranking, and what it prints.
void write_ranking(const RunFolder& run, const Json& ranking,
                   const std::vector<RankedNetwork>& networks,
                   const std::vector<Contender>& contenders, const std::string& command,
                   const std::vector<MacsPerByte>& ridge_points) {
  write_file(run.file("rank.csv"), ranking_csv(networks));
  write_file(run.file("result.yaml"), yaml_text(ranking));
  std::vector<RatedNetwork> rated;
  for (const Contender& contender : contenders) {
    rated.push_back({contender.architecture, trained_accuracy(contender.trained)});
  }
  const auto space = ranking["space"].get<std::string>();
  Json report = network_report(
      fmt::format("Ranking of {} networks by a supernet of {}", networks.size(), space), command,
      rated, contenders, ridge_points);
  report["ranking"] = ranking;
  report["ranking"]["networks"] = ranked_json(networks);
  write_file(run.file("report.html"), report_html(report));
  fmt::print("{}; {} epochs from scratch on {}\n\n{}\nall networks: {}\nreport: {}\n", space,
             ranking["epochs"].get<int>(), ranking["data"].get<std::string>(),
             ranking_text(ranking["ranking"]), run.file("rank.csv"), run.file("report.html"));
}

}  // namespace

int rank_command(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "rank RUN --out DIR [--networks N] [--stage S] [--resume]",
      "How far a run's supernet can be trusted: samples networks of the run's target\n"
      "latency, trains each from scratch, and compares that with their accuracy with\n"
      "shared weights: Kendall's tau, Spearman, the regret of the one it would choose.",
      "run", 1);
  line.add()("out", po::value<std::string>(), "folder of this ranking");
  line.add_number<int>("networks", 3, 10000, "to be trained, one after another", 30);
  line.add()(
      "stage", po::value<std::string>(),
      "whose supernet (default: the first that the run has of single, coarse, fine, hybrid)");
  line.add()("trained", po::value<std::string>(),
             "an earlier ranking, whose networks and trainings are taken");
  line.add_number<int>("repeats", 1, 100, "trainings of each network, those of --trained counted",
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
  line.add()("config", po::value<std::string>(),
             "YAML of the training from scratch, if not the run's");
  line.add_seed("of the sample and of the training", 0);
  line.add()("resume", "go on with the ranking in --out");
  line.add_data_options(false);
  line.add_loader_options();
  line.add_session_options();
  if (!line.parse(arguments)) return 0;
  catch_interrupts();
  const std::string folder = line.words()[0];
  SearchConfig config = load_search_config(folder + "/config.yaml", {});
  const SearchStage stage =
      stage_of_run(folder, line.has("stage") ? line.get<std::string>("stage") : "");
  const int count = line.get<int>("networks");
  if (count < 3 || count > 10000) throw Error("--networks must be from 3 to 10000");
  const int repeats = line.get<int>("repeats");
  if (repeats < 1 || repeats > 100) throw Error("--repeats must be from 1 to 100");
  const auto tolerance = line.get<double>("tolerance");
  if (!(tolerance > 0)) throw Error("--tolerance must be above 0");
  if (line.has("validation-batch-size")) {
    config.weights.validation_batch_size = line.get<int>("validation-batch-size");
    if (config.weights.validation_batch_size < 2) {
      throw Error("--validation-batch-size must be at least 2");
    }
  }
  for (const char* option : {"networks", "tolerance", "seed"}) {
    if (line.has("trained") && line.given(option)) {
      throw Error("--trained brings its networks and their seed; leave --" + std::string(option) +
                  " out");
    }
  }
  const int tune_steps = line.get<int>("tune-steps");
  if (tune_steps < 0 || tune_steps > 1000000) throw Error("--tune-steps must be from 0 to 1000000");
  Session session = line.session(config.threads, config.precision);
  session.checkpoint_every = config.checkpoint_every;
  const Dataset data = dataset_of(config, line);
  // After the data: the split is that of the run, whatever this training would have.
  if (line.has("config")) config.train = load_train_options(line.get<std::string>("config"));
  const std::string recipe =
      one_line(line.has("config") ? YAML::LoadFile(line.get<std::string>("config"))
                                  : YAML::Load(config.resolved)["train"]);
  const std::string made_with =
      fmt::format("{} images held out, training split {:x}, {}{}{}", data.search_validation.size(),
                  hash_of(data.train), to_string(session.machine.precision),
                  session.machine.device.is_cpu() ? "" : " on " + session.machine.device.str(),
                  fingerprint_of(config.train.distillation, data));

  const SearchSpace space = searched_space(config, folder, stage);
  const Reward reward = scaled_targets(config.reward, config.stages.at(stage).latency_factor);
  const CostTable table(space, reward.ridge_points());
  Trainings known =
      line.has("trained")
          ? trained_before(line.get<std::string>("trained"), data.name, made_with, recipe)
          : untrained(space, table, reward, tolerance, count, line.seed());
  known.data = data.name;
  known.made_with = made_with;
  known.recipe = recipe;
  std::vector<Decisions> decisions;  // before anything is written: each must be of the space
  for (const TrainedNetwork& network : known.networks) {
    decisions.push_back(encode(space, network.architecture));
  }
  config.weights.steps = std::max(1, tune_steps);
  config.weights.optimizer.learning_rate = config.stages.at(stage).learning_rate;
  const std::string weights = supernet_file(folder, stage);
  Supernet supernet(space, data, config.weights, session.machine);
  load_weights(weights, supernet.parameters());
  const auto judged = [&](const Decisions& network) {
    if (tune_steps == 0) return supernet.validate(network);
    Supernet copy(space, data, config.weights, session.machine);
    load_weights(weights, copy.parameters());
    for (int step = 0; step < tune_steps; ++step) {
      if (interrupted()) throw Interrupted();
      if (!std::isfinite(copy.train(step, {&network, 1}))) {
        throw std::runtime_error(fmt::format(
            "the loss is not finite at tuning step {}; take fewer --tune-steps", step + 1));
      }
    }
    return copy.validate(network);
  };

  TrainOptions options = config.train;
  const std::string fingerprint =
      fmt::format("{}\n{}\n{} {} {} {} {} {}{}{}{}{}{}\n{}\n{}", config.resolved, to_yaml(space),
                  to_string(stage), count, tolerance, repeats, tune_steps,
                  config.weights.validation_batch_size, fingerprint_of(supernet.parameters()),
                  fingerprint_of(reward), fingerprint_of(config.weights.distillation, data),
                  fingerprint_of(config.train.distillation, data), fingerprint_of(session.machine),
                  recipe, trainings_text(known));
  // Refuses labels or a teacher that do not fit before anything is written.
  { const Trainer probe(known.networks[0].architecture, data, options, session.machine); }
  const std::string out = line.required("out");
  RunFolder run = line.has("resume") ? RunFolder::resume(out, fingerprint)
                                     : RunFolder::create(out, fingerprint);
  std::vector<RankedNetwork> networks;
  std::vector<Contender> contenders;
  for (size_t i = 0; i < decisions.size(); ++i) {
    TrainedNetwork& network = known.networks[i];
    const std::string& name = network.architecture.name;
    write_file(run.file(name + ".yaml"), to_yaml(network.architecture));
    const Json shared = shared_phase(run, name, [&] { return judged(decisions[i]); });
    for (int repeat = int(network.trainings.size()); repeat < repeats; ++repeat) {
      options.seed = mix(known.seed, 700 + uint64_t(repeat));
      const std::string phase = repeat == 0 ? name : fmt::format("{}.{}", name, repeat + 1);
      network.trainings.push_back(
          training_phase(run, phase, network.architecture, options, data, session));
    }
    networks.push_back(ranked(network, shared, reward.ratios(table.price(decisions[i]))));
    Json trained = network.trainings.front();
    trained["test"]["top1"] = mean(networks.back().alone_test);
    contenders.push_back(
        {name, "random", network.architecture, {{"top1", shared["top1"]}}, trained});
  }
  write_file(run.file(kTrainings), trainings_text(known));
  const Json ranking = {{"run", folder},
                        {"stage", to_string(stage)},
                        {"space", space.name},
                        {"data", data.name},
                        {"epochs", options.epochs},
                        {"tune_steps", tune_steps},
                        {"ranking", ranking_json(networks, mix(known.seed, 800))}};
  write_ranking(run, ranking, networks, contenders, command_text("rank", arguments),
                config.report_ridge_points);
  return 0;
}

}  // namespace ridgewalk
