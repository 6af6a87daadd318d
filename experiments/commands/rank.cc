#include <optional>
#include <utility>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "experiments/commands/memory_check.h"
#include "experiments/commands/rank_request.h"
#include "experiments/evidence/rank_phases.h"
#include "experiments/evidence/ranking.h"
#include "experiments/evidence/truth.h"
#include "experiments/report/network_report.h"
#include "experiments/report/report.h"
#include "experiments/run/csv.h"
#include "experiments/run/fingerprint.h"
#include "experiments/run/interrupt.h"
#include "experiments/run/search_run.h"
#include "experiments/run/seed_streams.h"
#include "space/error.h"
#include "space/file.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

constexpr const char* kTrainings = "trainings.json";

// One text for one recipe, however its YAML is laid out; what it says can be pasted into a file.
std::string one_line(YAML::Node recipe) {
  recipe.SetStyle(YAML::EmitterStyle::Flow);
  return YAML::Dump(recipe);
}

// The recipe of the training from scratch. Read after the data: their split is that of the run,
// whatever the training of --config would have.
std::string read_recipe(const CommandLine& line, SearchConfig& config) {
  if (!line.has("config")) return one_line(YAML::Load(config.resolved)["train"]);
  const auto path = line.get<std::string>("config");
  const YamlSource source = parse_yaml(read_file(path), path);
  config.train = read_train(source);
  return one_line(source.node);
}

Trainings trained_before(const std::string& folder, const Trainings& expected) {
  const std::string path = folder + "/" + kTrainings;
  Trainings trainings = read_trainings(path);
  trainings.recipe = one_line(parse_yaml(trainings.recipe, path).node);
  if (trainings.data != expected.data) {
    throw Error(path, 0, "holds trainings on " + trainings.data + ", not on " + expected.data);
  }
  if (trainings.made_with != expected.made_with) {
    throw Error(path, 0,
                "holds trainings with " + trainings.made_with + ", not with " + expected.made_with);
  }
  if (trainings.recipe != expected.recipe) {
    throw Error(path, 0,
                "holds trainings with another recipe; give it by --config: " + trainings.recipe);
  }
  return trainings;
}

// Those of a table that the space has, or as many of them as were asked for.
Trainings networks_of_truth(RankRequest& request, const SearchSpace& space) {
  auto& asked = request.truth;
  std::optional<NetworkCode> code;
  if (!asked.code.empty()) code = load_network_code(asked.code, space);
  Truth truth = read_truth(asked.table, code, asked.accuracy, space);
  asked.rows = truth.rows;
  asked.in_space = truth.networks.size();
  if (!request.quiet) {
    std::fprintf(stderr, "%s: %zu of %zu networks are in the space '%s'%s%s\n", asked.table.c_str(),
                 truth.networks.size(), truth.rows, space.name.c_str(),
                 truth.left_out.empty() ? "" : "; the first that is not: ", truth.left_out.c_str());
  }
  Trainings trainings{.data = asked.table,
                      .made_with = "by others",
                      .recipe = "",
                      .seed = request.seed,
                      .networks = std::move(truth.networks)};
  const size_t count = trainings.networks.size();
  if (asked.all || size_t(request.count) >= count) return trainings;
  const std::vector<int64_t> order =
      permutation(int64_t(count), stream_seed(request.seed, SeedStream::kRankedNetworks));
  std::vector<NetworkRecord> drawn;
  for (int i = 0; i < request.count; ++i) {
    drawn.push_back(std::move(trainings.networks[size_t(order[size_t(i)])]));
  }
  trainings.networks = std::move(drawn);
  return trainings;
}

// The networks to rank, with their trainings so far.
Trainings networks_of(RankRequest& request, const std::string& recipe, const SearchSpace& space,
                      const Reward& reward, const RunInputs& common) {
  if (request.has_truth()) return networks_of_truth(request, space);
  const Dataset& data = common.data;
  const Compute& compute = common.compute;
  Trainings trainings{.data = data.name,
                      .made_with = fmt::format(
                          "{} images held out, data {:x}, {}{}{}", data.search_validation.size(),
                          hash_of(data), to_string(compute.precision),
                          compute.device.is_cpu() ? "" : " on " + compute.device.str(),
                          fingerprint(request.config.train.distillation, data)),
                      .recipe = recipe,
                      .seed = request.seed};
  if (!request.trained.empty()) return trained_before(request.trained, trainings);
  std::mt19937_64 random(stream_seed(request.seed, SeedStream::kRankedNetworks));
  const CostTable table(space, reward.models());
  for (const Decisions& decisions :
       samples_near_targets(space, table, reward, request.tolerance, request.count, random)) {
    Architecture architecture = decode(space, decisions);
    architecture.name = fmt::format("network-{:03}", trainings.networks.size());
    trainings.networks.push_back({.architecture = architecture, .kind = NetworkKind::kRandom});
  }
  if (int(trainings.networks.size()) < request.count) {
    throw Error(
        fmt::format("space '{}' has only {} networks near the targets; allow a larger "
                    "--tolerance or fewer --networks",
                    space.name, trainings.networks.size()));
  }
  return trainings;
}

// Judges and trains every network, so far as the run has not done so.
void rank_phases(const SearchContext& context, const RankRequest& request, const Reward& reward,
                 const SearchSpace& space, SharedJudge& judge, Trainings& trainings) {
  std::vector<NetworkRecord>& networks = trainings.networks;
  const CostTable table(space, reward.models());
  for (NetworkRecord& network : networks) {
    if (!request.has_truth()) {
      write_file(context.run.file(network.architecture.name + ".yaml"),
                 to_yaml(network.architecture));
    }
    network.of_target = reward.ratios(table.price(encode(space, network.architecture)));
  }
  judgement_phases(context, space, judge, networks);
  training_phases(context, request.recipe(), trainings);
}

// The ranking of all networks; of a table of others', where most differ in size, also that of those
// of about the median's MACs.
struct Rankings {
  Ranking all;
  std::optional<Ranking> near_median = {};
};

Rankings rankings(const RankRequest& request, const SearchSpace& space,
                  const Trainings& trainings) {
  const uint64_t seed = stream_seed(trainings.seed, SeedStream::kRankingBootstrap);
  const auto of = [&](const std::vector<NetworkRecord>& networks) {
    std::vector<Decisions> decisions;
    for (const NetworkRecord& network : networks) {
      decisions.push_back(encode(space, network.architecture));
    }
    return rank(networks, seed, same_networks(networks), decisions);
  };
  Rankings result{.all = of(trainings.networks)};
  if (!request.has_truth()) return result;
  const auto near = near_median_macs(trainings.networks, request.tolerance);
  if (same_networks(near).size() >= 3) result.near_median = of(near);
  return result;
}

// The files of a ranking, and what it prints.
void write_ranking(const SearchContext& context, const RankRequest& request,
                   const SearchSpace& space, const Trainings& trainings,
                   const std::string& command) {
  const RunFolder& run = context.run;
  const std::vector<NetworkRecord>& networks = trainings.networks;
  const Rankings ranked_by = rankings(request, space, trainings);
  Json result = {{"run", request.folder},
                 {"stage", to_string(request.stage)},
                 {"space", space.name},
                 {"data", context.data.name},
                 {"epochs", context.config.train.epochs},
                 {"tune_steps", request.tune_steps},
                 {"ranking", ranking_json(ranked_by.all)}};
  if (request.has_truth()) {
    result.erase("epochs");
    result["truth"] = request.truth.table;
    result["truth_rows"] = request.truth.rows;
    result["truth_rows_in_space"] = request.truth.in_space;
  }
  if (ranked_by.near_median) {
    result["tolerance_of_median_macs"] = request.tolerance;
    result["near_median_macs"] = ranking_json(*ranked_by.near_median);
  }
  const Json ranked = ranked_json(networks);
  if (!request.has_truth()) write_file(run.file(kTrainings), trainings_text(trainings));
  write_file(run.file("rank.csv"), csv_table(ranked));
  write_file(run.file("result.yaml"), yaml_text(result));
  Json report = network_report(
      fmt::format("Ranking of {} networks by a supernet of {}", networks.size(), space.name),
      command, networks, context.config.report_ridge_points);
  report["ranking"] = result;
  report["ranking"]["networks"] = ranked;
  write_file(run.file("report.html"), report_html(report));
  const std::string trained =
      request.has_truth() ? fmt::format(
                                "accuracies of {}, {} of whose {} networks are of "
                                "the space",
                                request.truth.table, request.truth.in_space, request.truth.rows)
                          : fmt::format("{} epochs from scratch on {}", context.config.train.epochs,
                                        context.data.name);
  fmt::print("{}; {}\n\n{}\n", space.name, trained, ranking_text(ranked_by.all));
  if (ranked_by.near_median) {
    fmt::print("Of those within {:g} % of the median MACs:\n\n{}\n", 100 * request.tolerance,
               ranking_text(*ranked_by.near_median));
  }
  fmt::print("all networks: {}\nreport: {}\n", run.file("rank.csv"), run.file("report.html"));
}

// Throws Error for what does not fit: networks of another space, labels, a teacher, a ranking whose
// trainings have left no weights.
void check(const RankRecipe& recipe, const Trainings& trainings, const SearchSpace& space,
           const Dataset& data, const Compute& compute) {
  for (const NetworkRecord& network : trainings.networks) encode(space, network.architecture);
  require_earlier_weights(recipe, trainings);
  const Trainer probe(trainings.networks[0].architecture, data, recipe.train, compute);
}

// What a ranking is told apart by, beside its inputs.
std::string settings_text(const RankRequest& request, uint64_t seed) {
  return fmt::format(
      "stage: {}\nnetworks: {}\ntolerance: {}\nseed: {}\nrepeats: {}\n"
      "tune-steps: {}\nvalidation-batch-size: {}\n{}{}",
      to_string(request.stage), request.count, request.tolerance, seed, request.repeats,
      request.tune_steps, request.config.weights.validation_batch_size,
      request.has_truth() ? "truth: " + request.truth.table + "\n"
      : request.in_int8   ? "quantized: judged and trained networks\n"
                          : "",
      request.with_proxies ? "" : "no-proxies\n");
}

std::vector<RunFolder> one_run(const std::string& path, const std::string& fingerprint) {
  std::vector<RunFolder> runs;
  runs.push_back(RunFolder::open(path, fingerprint));
  return runs;
}

}  // namespace

int rank_command(const Arguments& arguments) {
  CommandLine line = rank_command_line();
  if (!line.parse(arguments)) return 0;
  catch_interrupts();
  RankRequest request = rank_request(line);
  SearchConfig& config = request.config;
  Session session = line.session(config.threads, config.precision);
  session.checkpoint_every = config.checkpoint_every;
  request.quiet = session.quiet;
  const Dataset data = dataset_of(config, line, supernet_file(request.folder, request.stage));
  const std::string recipe = read_recipe(line, config);
  const SearchSpace space = searched_space(config, request.folder, request.stage);
  const bool tunes = request.tune_steps > 0;  // a copy of the shared weights in each lane
  require_supernet_memory(space, config, session, tunes ? session.compute.lanes : 1);
  const Reward reward = scaled_targets(
      with_law_factor(config.reward, law_factor_of_run(request.folder, request.stage)),
      config.stages.at(request.stage).latency_factor);

  RunInputs inputs{.texts = {config.resolved, to_yaml(space)},
                   .reward = &reward,
                   .distillations = {&config.weights.distillation, &config.train.distillation},
                   .data = data,
                   .compute = session.compute};
  Trainings trainings = networks_of(request, recipe, space, reward, inputs);
  SharedJudge judge({.weights = supernet_file(request.folder, request.stage),
                     .supernet = config.weights,
                     .tune_steps = request.tune_steps,
                     .seed = stream_seed(request.seed, SeedStream::kProxies),
                     .in_int8 = request.in_int8,
                     .with_proxies = request.with_proxies},
                    space, data, session.compute);
  inputs.settings = settings_text(request, trainings.seed);
  inputs.weights = &judge.weights();
  inputs.more = "recipe: " + recipe + "\n" + trainings_text(trainings);
  const RankRecipe rank_recipe = request.recipe();
  check(rank_recipe, trainings, space, data, session.compute);

  const std::string out = line.required("out");
  const std::string print = fingerprint(inputs);
  std::optional<Leadership> lead;
  if (const auto workers = line.workers()) {
    const SharedTrials shared{
        .inputs = print,
        .trials = rank_trials(rank_recipe, trainings, space, judge, data, print),
        .out = out,
        .open_runs = [&] { return one_run(out, print); }};
    lead = share_out(*workers, shared, session);
    if (!lead) return 0;
  }
  RunFolder run = lead                 ? std::move(lead->runs.front())
                  : line.has("resume") ? RunFolder::resume(out, print)
                                       : RunFolder::create(out, print);
  const SearchContext context{{run, data, session}, config};
  rank_phases(context, request, reward, space, judge, trainings);
  write_ranking(context, request, space, trainings, command_text("rank", arguments));
  if (lead) lead->folder->finish_lead();
  return 0;
}

}  // namespace ridgewalk
