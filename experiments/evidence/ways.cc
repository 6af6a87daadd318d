#include "experiments/evidence/ways.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "experiments/evidence/budget.h"
#include "experiments/run/fingerprint.h"
#include "experiments/run/seed_streams.h"
#include "experiments/run/training_phase.h"
#include "roofline/price.h"
#include "space/error.h"
#include "space/file.h"
#include "supernet/training/provenance_check.h"

namespace ridgewalk {
namespace {

std::vector<SearchStage> stages_of(Way way) {
  if (way == Way::kTwoStage) return {SearchStage::kCoarse, SearchStage::kFine};
  if (way == Way::kRandomNetworks) return {};
  return {SearchStage::kSingle};
}

// The method of each stage is the way's, whatever the configuration says.
SearchConfig config_of(SearchConfig config, Way way) {
  const bool learns = way == Way::kTwoStage || way == Way::kOneStage;
  for (SearchStage stage : stages_of(way)) {
    config.stages.at(stage).tunas.method = learns ? SearchMethod::kTunas : SearchMethod::kRandom;
  }
  return config;
}

int64_t training_images(const SearchConfig& config, Way way) {
  int64_t images = 0;
  for (SearchStage stage : stages_of(way)) {
    const TunasOptions& tunas = config.stages.at(stage).tunas;
    images += int64_t(tunas.steps) * tunas.samples_per_step * config.weights.batch_size;
  }
  return images;
}

void check_sections(const SearchConfig& config, Way way) {
  for (SearchStage stage : stages_of(way)) {
    const std::string name(to_string(stage));
    if (!config.stages.contains(stage)) {
      throw Error("the configuration has no '" + name + "' section; " +
                  std::string(to_string(way)) + " needs it");
    }
    if (config.stages.at(stage).judge) {
      throw Error(
          "section '" + name +
          "' has a judge, but all ways train shared weights on as many images; leave it out");
    }
    if (config.stages.at(stage).latency_factor != 1) {
      throw Error("section '" + name +
                  "' has a latency_factor, but all ways have the same target; leave it out");
    }
  }
}

// Of the networks that are trained from scratch.
TrainOptions train_options(const SearchConfig& config) {
  TrainOptions options = config.train;
  options.seed = stream_seed(config.seed, SeedStream::kTraining);
  return options;
}

// The networks of a way, which are named, trained from scratch.
std::vector<NetworkRecord> trained(const SearchContext& context, const Origin& origin,
                                   const std::vector<Architecture>& architectures) {
  const auto& config = context.config;
  const TrainOptions options = train_options(config);
  std::vector<TrainingTask> tasks;
  for (const Architecture& architecture : architectures) {
    write_file(context.run.file(architecture.name + ".yaml"), to_yaml(architecture));
    tasks.push_back({architecture.name, architecture, options});
  }
  const std::vector<TrainingResult> results = training_phases(context, tasks);
  std::vector<NetworkRecord> networks;
  for (size_t i = 0; i < results.size(); ++i) {
    const std::vector<Macs> taken = prices(lower(architectures[i]), config.reward.models());
    const bool is_random = origin.way == Way::kRandomNetworks;
    NetworkRecord& network = networks.emplace_back(
        NetworkRecord{.architecture = architectures[i],
                      .kind = is_random ? NetworkKind::kRandom : NetworkKind::kFound,
                      .origin = origin,
                      .of_target = config.reward.ratios(taken),
                      .trainings = {results[i]}});
    if (origin.budget) {
      *network.origin.budget += training_budget(architectures[i], config, context.data);
    }
  }
  return networks;
}

NetworkRecord trained(const SearchContext& context, const Origin& origin, const std::string& name,
                      Architecture architecture) {
  architecture.name = name;
  return trained(context, origin, std::vector{std::move(architecture)}).front();
}

std::vector<NetworkRecord> random_networks(const SearchContext& context, int count) {
  const Origin origin{.way = Way::kRandomNetworks, .seed = context.config.seed, .budget = Macs{}};
  return trained(context, origin, random_members(context.config, context.config.reward, count));
}

// The best that evolution tried with the supernet of random search.
struct Evolved {
  CandidateResult best;
  Architecture architecture;
  std::optional<Macs> budget = {};  // of all that it tried; earlier versions did not keep it
};

void to_json(Json& json, const Evolved& evolved) {
  json = {{"best", evolved.best}, {"architecture", to_yaml(evolved.architecture)}};
  if (evolved.budget) json["budget_macs"] = evolved.budget->value;
}

void from_json(const Json& json, Evolved& evolved) {
  json.at("best").get_to(evolved.best);
  evolved.architecture =
      architecture_from_yaml(json.at("architecture").get<std::string>(), "architecture");
  if (json.contains("budget_macs")) evolved.budget = Macs{json["budget_macs"].get<double>()};
}

Evolved evolution_phase(const SearchContext& context, const std::string& phase) {
  const SearchConfig& config = context.config;
  if (const auto evolved = context.run.result<Evolved>(phase)) return *evolved;
  const SearchSpace space = searched_space(config.space, SearchStage::kSingle, std::nullopt);
  const TrialOptions& options = config.stages.at(SearchStage::kSingle).tunas.trials;
  Supernet supernet(space, context.data, config.weights, context.session.compute);
  load_weights_for(context.data, supernet_file(context.run.file("."), SearchStage::kSingle),
                   supernet.parameters());
  const Trials trials{.supernet = supernet,
                      .space = space,
                      .reward = config.reward,
                      .count = options.evaluations,
                      .seed = stream_seed(config.seed, SeedStream::kTrials)};
  const std::vector<Candidate> tried =
      trial_phase(context, phase, trials, [&](const Trial& trial, std::mt19937_64& random) {
        return evolution(trial, options, random);
      });
  const Candidate best = *std::min_element(tried.begin(), tried.end(), is_better);
  Macs budget;
  for (const Candidate& one : tried) {
    budget +=
        passes(lower(decode(space, one.decisions)), 0, candidate_images(config, context.data));
  }
  const Evolved evolved{.best = candidate_result(best, config.reward),
                        .architecture = decode(space, best.decisions),
                        .budget = budget};
  context.run.finish(evolved);
  return evolved;
}

// What the stages of a run computed, each in the space that follows from the one before.
Macs search_budget(const SearchContext& context, const std::vector<StageOutcome>& stages) {
  Macs sum;
  std::optional<Architecture> previous;
  for (const StageOutcome& stage : stages) {
    sum +=
        stage_budget(context, stage, searched_space(context.config.space, stage.stage, previous));
    previous = stage.architecture;
  }
  return sum;
}

NetworkRecord evolved_network(const SearchContext& context, std::vector<StageOutcome> stages) {
  const std::string phase = "evolution";
  const Evolved evolved = evolution_phase(context, phase);
  Origin origin{
      .way = Way::kEvolution,
      .seed = context.config.seed,
      .search_seconds = context.run.seconds(std::string(to_string(SearchStage::kSingle))) +
                        context.run.seconds(phase),
      .budget = evolved.budget};
  for (StageOutcome& stage : stages) stage.candidates.clear();  // what random search tried
  if (origin.budget) *origin.budget += search_budget(context, stages);
  NetworkRecord network = trained(context, origin, "found-by-evolution", evolved.architecture);
  network.shared_top1 = evolved.best.accuracy;
  return network;
}

NetworkRecord searched_network(const SearchContext& context, Way way,
                               const std::vector<StageOutcome>& stages) {
  const StageOutcome& last = stages.back();
  Origin origin{.way = way, .seed = context.config.seed, .budget = search_budget(context, stages)};
  for (SearchStage stage : stages_of(way)) {
    origin.search_seconds += context.run.seconds(std::string(to_string(stage)));
  }
  NetworkRecord network = trained(context, origin, "found", last.architecture);
  network.shared_top1 = last.best.accuracy;
  return network;
}

}  // namespace

void check_ways(const SearchConfig& config, const std::vector<Way>& ways, int random_networks,
                const Dataset& data) {
  check_data(config, data);
  std::optional<int64_t> images;
  std::string other;  // way with as many
  for (Way way : ways) {
    check_sections(config, way);
    if (stages_of(way).empty()) {
      require_random_members(config, config.reward, random_networks);
      continue;
    }
    const int64_t own = training_images(config, way);
    if (images && own != *images) {
      throw Error(
          fmt::format("{} would train on {} images, but {} on {}; set the steps of the stages so "
                      "that they are equal",
                      to_string(way), own, other, *images));
    }
    images = own, other = to_string(way);
    check_search(config_of(config, way), {.stages = stages_of(way)}, "", data);
  }
}

WayRun run_of(const WaysContext& context, Way way) {
  if (way == Way::kEvolution) way = Way::kRandomSearch;
  const SearchConfig config = config_of(context.config, way);
  return {
      .name = fmt::format("{}-{}", to_string(way), config.seed),
      .fingerprint = fingerprint(
          {.texts = {config.resolved, to_yaml(config.space)},
           .settings = fmt::format("way: {}\n", to_string(way)) + start_fingerprint(config.weights),
           .reward = &config.reward,
           .distillations = {&config.weights.distillation, &config.train.distillation},
           .data = context.data,
           .compute = context.session.compute})};
}

RunFolder open_run(const WaysContext& context, Way way) {
  const WayRun run = run_of(context, way);
  RunFolder folder = RunFolder::open(context.folder + "/" + run.name, run.fingerprint);
  write_file(folder.file("config.yaml"), context.config.resolved);
  return folder;
}

std::vector<NetworkRecord> run_way(const WaysContext& context, Way way) {
  RunFolder run = open_run(context, way);
  return run_way(context, way, run);
}

std::vector<NetworkRecord> run_way(const WaysContext& context, Way way, RunFolder& run) {
  const SearchConfig config = config_of(context.config, way);
  const SearchContext search{{run, context.data, context.session}, config};
  if (way == Way::kRandomNetworks) return random_networks(search, context.random_networks);
  const SearchOutcome outcome = run_search(search, {.stages = stages_of(way)}, {});
  if (way == Way::kEvolution) return {evolved_network(search, outcome.stages)};
  return {searched_network(search, way, outcome.stages)};
}

TrainingResult train_member(const WaysContext& context, const Architecture& member,
                            RunFolder& run) {
  return training_phase({run, context.data, context.session}, member.name, member,
                        train_options(context.config));
}

}  // namespace ridgewalk
