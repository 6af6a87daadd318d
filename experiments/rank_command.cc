#include <set>

#include <fmt/format.h>

#include "experiments/command_line.h"
#include "experiments/comparison.h"
#include "experiments/interrupt.h"
#include "experiments/ranking.h"
#include "experiments/report.h"
#include "experiments/search_run.h"
#include "space/error.h"
#include "space/file.h"
#include "supernet/weights.h"

namespace ridgewalk {
namespace {

// Different architectures near the targets.
std::vector<Decisions> matched_in_cost(const SearchSpace& space, const CostTable& table,
                                       const Reward& reward, double tolerance, size_t count,
                                       uint64_t seed) {
  std::mt19937_64 random(seed);
  std::set<Decisions> seen;
  std::vector<Decisions> list;
  for (int tries = 0; list.size() < count; ++tries) {
    if (tries == 1000) {
      throw Error(
          fmt::format("space '{}' has but {} networks near the targets; allow a larger "
                      "--tolerance or fewer --networks",
                      space.name, list.size()));
    }
    const Decisions decisions = sample_near_targets(space, table, reward, tolerance, random);
    if (!seen.insert(decisions).second) continue;
    list.push_back(decisions);
    tries = 0;
  }
  return list;
}

double of(const Json& result, const char* split) {
  return result[split].is_object() ? result[split]["top1"].get<double>() : 0;
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
  line.add()("networks", po::value<int>()->default_value(30), "to be trained, one after another");
  line.add()("stage", po::value<std::string>(), "whose supernet; by default the run's first");
  line.add()("tolerance", po::value<double>()->default_value(0.05),
             "by which networks may miss the latency target");
  line.add()("validation-batch-size", po::value<int>(),
             "images whose statistics batch norm uses with shared weights, if not the run's");
  line.add()("config", po::value<std::string>(),
             "YAML of the training from scratch, if not the run's");
  line.add()("seed", po::value<int64_t>()->default_value(0), "of the sample and of the training");
  line.add()("resume", "go on with the ranking in --out");
  line.add_data_options(false);
  line.add_session_options();
  if (!line.parse(arguments)) return 0;
  catch_interrupts();
  const std::string folder = line.words()[0];
  SearchConfig config = load_search_config(folder + "/config.yaml", {});
  const SearchStage stage =
      stage_of_run(folder, line.has("stage") ? line.get<std::string>("stage") : "");
  const int count = line.get<int>("networks");
  if (count < 3 || count > 10000) throw Error("--networks must be from 3 to 10000");
  const auto tolerance = line.get<double>("tolerance");
  if (!(tolerance > 0)) throw Error("--tolerance must be above 0");
  if (line.has("validation-batch-size")) {
    config.weights.validation_batch_size = line.get<int>("validation-batch-size");
    if (config.weights.validation_batch_size < 2) {
      throw Error("--validation-batch-size must be at least 2");
    }
  }
  const uint64_t seed = line.seed();
  Session session = line.session(config.threads, config.precision);
  session.checkpoint_every = config.checkpoint_every;
  const Dataset data = dataset_of(config, line);
  // After the data: the split is that of the run, whatever this training would have.
  if (line.has("config")) config.train = load_train_options(line.get<std::string>("config"));

  const SearchSpace space = searched_space(config, folder, stage);
  const Reward reward = scaled_targets(config.reward, config.stages.at(stage).latency_factor);
  const CostTable table(space, reward.ridge_points());
  const std::vector<Decisions> sampled =
      matched_in_cost(space, table, reward, tolerance, size_t(count), mix(seed, 600));
  Supernet supernet(space, data, config.weights, session.machine);
  load_weights(supernet_file(folder, stage), supernet.parameters());

  TrainOptions options = config.train;
  options.seed = mix(seed, 700);
  const std::string fingerprint =
      fmt::format("{}\n{}\n{} {} {} {} {} {} {} {}", config.resolved,
                  judged_fingerprint(space, reward, supernet.parameters(),
                                     {&config.weights.distillation, &config.train.distillation}),
                  to_string(stage), count, tolerance, seed, config.weights.validation_batch_size,
                  to_string(session.machine.precision), at::get_num_threads(),
                  line.has("config") ? read_file(line.get<std::string>("config")) : "");
  const std::string out = line.required("out");
  RunFolder run = line.has("resume") ? RunFolder::resume(out, fingerprint)
                                     : RunFolder::create(out, fingerprint);
  std::vector<RankedNetwork> networks;
  std::vector<RatedNetwork> rated;
  std::vector<Contender> contenders;
  for (size_t i = 0; i < sampled.size(); ++i) {
    Architecture architecture = decode(space, sampled[i]);
    architecture.name = fmt::format("network-{:03}", i);
    write_file(run.file(architecture.name + ".yaml"), to_yaml(architecture));
    const NetworkCost cost = network_cost(lower(architecture));
    const Accuracy shared = supernet.validate(sampled[i]);
    const Json trained =
        training_phase(run, architecture.name, architecture, options, data, session);
    networks.push_back({.name = architecture.name,
                        .shared_top1 = shared.top1,
                        .shared_loss = shared.loss,
                        .alone_top1 = of(trained, "search_validation"),
                        .alone_test = of(trained, "test"),
                        .parameters = double(cost.parameters),
                        .macs = cost.macs.value,
                        .of_target = reward.ratios(table.price(sampled[i]))});
    rated.push_back({architecture, trained_accuracy(trained)});
    contenders.push_back(
        {architecture.name, "random", architecture, {{"top1", shared.top1}}, trained});
  }
  Json ranking = ranking_json(networks, mix(seed, 800));
  ranking = {{"run", folder},     {"stage", to_string(stage)}, {"space", space.name},
             {"data", data.name}, {"epochs", options.epochs},  {"ranking", ranking}};
  write_file(run.file("rank.csv"), ranking_csv(networks));
  write_file(run.file("result.yaml"), yaml_text(ranking));
  Json report = network_report(
      fmt::format("Ranking of {} networks by a supernet of {}", networks.size(), space.name),
      command_text("rank", arguments), rated, contenders, config.report_ridge_points);
  report["ranking"] = ranking;
  report["ranking"]["networks"] = ranked_json(networks);
  write_file(run.file("report.html"), report_html(report));
  fmt::print("{}; {} epochs from scratch on {}\n\n{}\nall networks: {}\nreport: {}\n", space.name,
             options.epochs, data.name, ranking_text(ranking["ranking"]), run.file("rank.csv"),
             run.file("report.html"));
  return 0;
}

}  // namespace ridgewalk
