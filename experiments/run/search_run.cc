#include "experiments/run/search_run.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "experiments/run/seed_streams.h"
#include "experiments/run/target_config.h"
#include "experiments/run/training_phase.h"
#include "roofline/price.h"
#include "space/derived_spaces.h"
#include "space/lowering.h"
#include "space/yaml.h"
#include "supernet/training/provenance_check.h"

namespace ridgewalk {
namespace {

// The result of `stage` in another run's result.yaml.
FieldReader stage_result(const std::string& folder, SearchStage stage) {
  const std::string path = folder + "/result.yaml";
  FieldReader reader(parse_yaml(read_file(path), path));
  const std::string name(to_string(stage));
  if (!reader.has("stages")) reader.source().fail("holds no search result; give a run's folder");
  FieldReader stages(reader.child("stages"));
  if (!stages.has(name)) stages.source().fail("has no result of the " + name + " stage");
  return FieldReader(stages.child(name));
}

Architecture earlier_result(const std::string& folder, SearchStage stage) {
  FieldReader result = stage_result(folder, stage);
  return architecture_from_yaml(result.required<std::string>("architecture"),
                                folder + "/result.yaml");
}

Json network_json(const NetworkRecord& network) {
  const std::string name = file_name(network);
  Json shared;
  if (network.shared_top1) {
    shared = {
        {"top1", *network.shared_top1}, {"split", "search-validation"}, {"weights", "shared"}};
  }
  Json json = {{"name", name},
               {"kind", to_string(network.kind)},
               {"architecture", name + ".yaml"},
               {"weights_file", name + ".safetensors"},
               {"accuracy_shared_weights", shared},
               {"accuracy_from_scratch", network.trainings.front()}};
  add_limits(json, network.of_limits);
  return json;
}

void write_results(const RunFolder& run, const SearchOutcome& outcome) {
  Json result;
  for (const StageOutcome& stage : outcome.stages) {
    result["stages"][std::string(to_string(stage.stage))] = stage;
  }
  if (outcome.networks.empty()) {
    Architecture found = outcome.stages.back().architecture;
    found.name = "found";
    write_file(run.file("found.yaml"), to_yaml(found));
  }
  for (const NetworkRecord& network : outcome.networks) {
    write_file(run.file(file_name(network) + ".yaml"), to_yaml(network.architecture));
    result["networks"].push_back(network_json(network));
  }
  if (!outcome.measured.is_null()) result["measured"] = outcome.measured;
  write_file(run.file("result.yaml"), yaml_text(result));
}

NetworkRecord found_network(const std::vector<StageOutcome>& stages, SearchStage stage,
                            const std::string& name) {
  const auto outcome = std::find_if(stages.begin(), stages.end(),
                                    [&](const StageOutcome& one) { return one.stage == stage; });
  NetworkRecord network{.architecture = outcome->architecture};
  if (!outcome->judge) network.shared_top1 = outcome->best.accuracy;
  network.architecture.name = name;
  return network;
}

// As many as were asked for; a single one is called "random". Laws that were corrected on the way
// may have left fewer near the targets, or none: what was searched until then is not lost for that.
std::vector<Architecture> random_networks(const SearchContext& context, const Reward& reward) {
  const int asked = context.config.random_networks;
  std::vector<Architecture> networks;
  try {
    networks = random_members(context.config, reward, asked);
  } catch (const Error& error) {
    say(context.session, std::string("without random networks: ") + error.what());
  }
  if (asked == 1 && !networks.empty()) networks[0].name = "random";
  if (!networks.empty() && int(networks.size()) < asked) {
    say(context.session, fmt::format("with {} of {} random networks: no more are near the targets",
                                     networks.size(), asked));
  }
  return networks;
}

std::vector<LimitShare> limits_of(const Architecture& architecture, const Reward& reward) {
  return limit_shares(reward, prices(lower(architecture), reward.models()));
}

// What the stages found, and networks of the targets' latency that no search found.
std::vector<NetworkRecord> networks_to_train(const SearchContext& context, const Reward& reward,
                                             const std::vector<StageOutcome>& stages) {
  const SearchConfig& config = context.config;
  const Architecture reference = for_space(config.reference, config.space);
  std::vector<NetworkRecord> networks{
      found_network(stages, SearchStage::kFine, "found-conv"),
      found_network(stages, SearchStage::kHybrid, "found-hybrid"),
      {.architecture = scale_to_latency(reference, reward), .kind = NetworkKind::kReference}};
  for (const Architecture& random : random_networks(context, reward)) {
    networks.push_back({.architecture = random, .kind = NetworkKind::kRandom});
  }
  for (NetworkRecord& network : networks) {
    network.of_limits = limits_of(network.architecture, reward);
  }
  return networks;
}

// Of a plan that trains none: what the last stage found, beside networks that no search found.
std::vector<Architecture> networks_to_measure(const SearchContext& context, const Reward& reward,
                                              const SearchOutcome& outcome) {
  const SearchConfig& config = context.config;
  std::vector<Architecture> networks;
  for (const NetworkRecord& network : outcome.networks) networks.push_back(network.architecture);
  if (!networks.empty()) return networks;
  networks = {outcome.stages.back().architecture,
              scale_to_latency(for_space(config.reference, config.space), reward)};
  networks[0].name = "found";
  for (const Architecture& random : random_networks(context, reward)) {
    networks.push_back(random);
  }
  return networks;
}

Json measured_phase(const SearchContext& context, const SearchPlan& plan, const Reward& reward,
                    const SearchOutcome& outcome) {
  const std::string phase = "measure";
  if (const auto measured = context.run.result<Json>(phase)) return *measured;
  if (!plan.measure) return {};
  context.run.begin<Json>(phase);
  const std::vector<Architecture> networks = networks_to_measure(context, reward, outcome);
  Json measured = plan.measure(networks, *calibrated_target(reward.targets)->profile);
  for (size_t i = 0; i < networks.size(); ++i) {
    add_limits(measured["networks"][i], limits_of(networks[i], reward));
  }
  context.run.finish(measured);
  return measured;
}

// Refuses stages that need shared weights where a proxy judges, or that it cannot judge.
void require_possible_judges(const SearchConfig& config, const SearchPlan& plan) {
  for (SearchStage stage : plan.stages) {
    const SearchStageConfig& own = config.stages.at(stage);
    const auto before = stage_before(stage);
    const bool follows =
        before && std::find(plan.stages.begin(), plan.stages.end(), *before) != plan.stages.end();
    const std::string name(to_string(stage));
    if (!own.judge) {
      if (!follows || !own.warm_start || !config.stages.at(*before).judge) continue;
      throw Error("the " + name + " stage starts from weights of the " +
                  std::string(to_string(*before)) +
                  " stage, where a proxy judges and none are trained; give it a judge too, or "
                  "warm_start: false");
    }
    const std::string judge(to_string(*own.judge));
    if (plan.recalibration.networks > 0) {
      throw Error("--recalibrate goes on with shared weights, but '" + judge + "' judges the " +
                  name + " stage; leave one of them out");
    }
    std::mt19937_64 random;
    const SearchSpace space = single_space(config.space);
    const Graph graph = lower(decode(space, sample(space, random)));
    const bool has_relu = std::any_of(graph.ops.begin(), graph.ops.end(), [](const Op& op) {
      return op.kind == OpKind::kActivation && op.activation == Activation::kRelu;
    });
    if (*own.judge == Proxy::kNaswot && !has_relu) {
      throw Error("naswot counts the outputs of ReLUs, which space '" + config.space.name +
                  "' has none of; take another judge");
    }
  }
}

// Refuses starts from the weights of other blocks, where each has its own.
void require_possible_starts(const SearchConfig& config, const SearchPlan& plan) {
  if (config.space.sharing != WeightSharing::kBlocks) return;
  const std::string name = "'sharing: blocks' of space '" + config.space.name + "'";
  if (!config.weights.start.empty()) {
    throw Error(config.weights.start, 0,
                "is of one network, of which blocks with weights of their own can take nothing: " +
                    name + "; leave 'start' out, or share slices");
  }
  for (SearchStage stage : plan.stages) {
    const SearchStageConfig& own = config.stages.at(stage);
    if (!stage_before(stage) || !own.warm_start || own.judge) continue;
    throw Error("the " + std::string(to_string(stage)) +
                " stage starts from weights of the stage before, whose blocks have weights of "
                "their own: " +
                name + "; set warm_start: false, or share slices");
  }
}

}  // namespace

std::string file_name(const NetworkRecord& network) {
  return network.kind == NetworkKind::kReference ? "reference" : network.architecture.name;
}

void check_data(const SearchConfig& config, const Dataset& data) {
  if (config.space.channels != data.channels || config.space.classes != data.classes) {
    throw Error("space '" + config.space.name + "' takes " + std::to_string(config.space.channels) +
                " channels to " + std::to_string(config.space.classes) + " classes; " + data.name +
                " has " + std::to_string(data.channels) + " and " + std::to_string(data.classes) +
                "; give another space, or `classes` in the configuration");
  }
  for (const Distillation& distillation :
       {config.weights.distillation, config.train.distillation}) {
    if (distillation.labels) require_same_split(*distillation.labels, data);
    if (distillation.teacher) Teacher(*distillation.teacher, data, {});
  }
}

StartingPoint check_search(const SearchConfig& config, const SearchPlan& plan,
                           const std::string& from, const Dataset& data) {
  const std::vector<SearchStage>& stages = plan.stages;
  check_data(config, data);
  require_possible_starts(config, plan);
  StartingPoint start;
  if (const auto before = stage_before(stages.front())) {
    const Architecture result = earlier_result(from, *before);
    // The fine space depends on widths, depths and expansions alone, which its result still has.
    start = {.architecture = result,
             .space = searched_space(config.space, *before, result),
             .weights_folder = from,
             .law_factor = law_factor_of_run(from, *before)};
    const std::string weights = supernet_file(from, *before);
    const SearchStageConfig& first = config.stages.at(stages.front());
    if (first.warm_start && !first.judge) {
      if (!std::filesystem::exists(weights)) {
        throw Error(weights, 0,
                    "does not exist; the warm start needs it (or set warm_start: false)");
      }
      if (const auto learned = read_provenance(weights)) {
        require_unseen(learned->learned, weights, data);
      }
    }
  }
  if (!config.weights.start.empty()) {
    // Refuses a file that does not fit before anything is written.
    Supernet(searched_space(config.space, stages.front(), start.architecture), data, config.weights,
             {})
        .start_from(config.weights.start);
  }
  require_possible_judges(config, plan);
  for (SearchStage stage : stages) {
    // The spaces of later stages depend on the results of earlier ones; their options do not.
    const bool known = stage == stages.front();
    const SearchSpace space =
        known ? searched_space(config.space, stage, start.architecture) : config.space;
    const SearchStageConfig& stage_config = config.stages.at(stage);
    const Reward reward = scaled_targets(with_law_factor(config.reward, start.law_factor),
                                         stage_config.latency_factor);
    // What an earlier stage found may miss the target: StagePhase says so, and goes on.
    if (known && start.architecture) continue;
    const std::string out_of_reach = TunasSearch(space, reward, stage_config.tunas).out_of_reach();
    if (!out_of_reach.empty()) throw Error(out_of_reach);
    // Without architectures to try there is no point in training the supernet.
    if (known && stage_config.tunas.method != SearchMethod::kTunas) {
      std::mt19937_64 random(config.seed);
      sample_near_targets(space, CostTable(space, reward.models()), reward,
                          stage_config.tunas.trials.tolerance, random);
    }
  }
  // It may be that no network meets all of several targets.
  if (plan.trains_networks || plan.measure) {
    require_random_members(config, with_law_factor(config.reward, start.law_factor),
                           config.random_networks);
  }
  return start;
}

SearchStage stage_of_run(const std::string& folder, const std::string& name) {
  std::vector<SearchStage> stages;  // that left a supernet
  for (SearchStage stage :
       {SearchStage::kSingle, SearchStage::kCoarse, SearchStage::kFine, SearchStage::kHybrid}) {
    if (std::filesystem::exists(supernet_file(folder, stage))) stages.push_back(stage);
  }
  if (stages.empty()) {
    throw Error(folder, 0, "holds no supernet; give the folder of a finished search");
  }
  if (name.empty()) return stages.front();
  const auto asked = value_named<SearchStage>(name);
  if (std::find(stages.begin(), stages.end(), asked) != stages.end()) return asked;
  std::string list;
  for (SearchStage stage : stages) list += " " + std::string(to_string(stage));
  throw Error(folder, 0, "holds no supernet of the stage '" + name + "'; choose of:" + list);
}

SearchConfig config_of_run(const std::string& folder) {
  const std::string path = folder + "/config.yaml", yaml = read_file(path);
  stage_of_run(folder, "");
  return search_config_from_yaml(yaml, path, {});
}

SearchSpace searched_space(const SearchConfig& config, const std::string& folder,
                           SearchStage stage) {
  const Architecture found = earlier_result(folder, stage);
  const auto before = stage_before(stage);
  if (!before) return searched_space(config.space, stage, std::nullopt);
  // A fine result still has what the stage froze; a hybrid one also has attention.
  if (stage == SearchStage::kFine) return searched_space(config.space, stage, found);
  return searched_space(config.space, stage, earlier_result(folder, *before));
}

double law_factor_of_run(const std::string& folder, SearchStage stage) {
  FieldReader result = stage_result(folder, stage);
  double factor = 1;
  bounded(result, "law_factor", factor, 1e-6, 1e6);
  return factor;
}

SearchOutcome run_search(const SearchContext& context, const SearchPlan& plan,
                         const StartingPoint& start) {
  const SearchConfig& config = context.config;
  SearchOutcome outcome;
  StartingPoint from = start;
  for (SearchStage stage : plan.stages) {
    outcome.stages.push_back(search_phase(context, stage, from, plan.recalibration));
    const StageOutcome& found = outcome.stages.back();
    from = {.architecture = found.architecture,
            .space = searched_space(config.space, stage, from.architecture),
            .weights_folder = context.run.file("."),
            .law_factor = found.law_factor};
  }
  const Reward reward = with_law_factor(config.reward, from.law_factor);
  if (plan.trains_networks) {
    outcome.networks = networks_to_train(context, reward, outcome.stages);
    TrainOptions options = config.train;
    options.seed = stream_seed(config.seed, SeedStream::kTraining);
    std::vector<TrainingTask> tasks;
    for (const NetworkRecord& network : outcome.networks) {
      tasks.push_back({file_name(network), network.architecture, options});
    }
    const std::vector<TrainingResult> results = training_phases(context, tasks);
    for (size_t i = 0; i < results.size(); ++i) outcome.networks[i].trainings = {results[i]};
  }
  outcome.measured = measured_phase(context, plan, reward, outcome);
  write_results(context.run, outcome);
  return outcome;
}

Architecture scale_to_latency(const Architecture& architecture, const Reward& reward) {
  const std::vector<LatencyModel> models = reward.models();
  // What is above a limit is farther than all that is within.
  const auto distance_of = [&](const Architecture& scaled) {
    const std::vector<double> ratios = reward.ratios(prices(lower(scaled), models));
    double largest = 0, largest_limit = 0;
    for (size_t t = 0; t < ratios.size(); ++t) {
      double& of_kind = reward.targets[t].is_limit ? largest_limit : largest;
      of_kind = std::max(of_kind, ratios[t]);
    }
    if (largest_limit > 1) return 1e9 * largest_limit;
    return std::abs((largest > 0 ? largest : largest_limit) - 1);
  };
  Architecture nearest = architecture;  // whose widths may be others than scaling rounds to
  double smallest = distance_of(architecture);
  for (int hundredths = 5; hundredths <= 400; ++hundredths) {
    Architecture scaled = scale(architecture, hundredths / 100.0);
    const double distance = distance_of(scaled);
    if (distance >= smallest) continue;
    smallest = distance;
    scaled.name = architecture.name + "@" + std::to_string(hundredths / 100.0).substr(0, 4);
    nearest = scaled;
  }
  return nearest;
}

std::vector<Architecture> random_members(const SearchConfig& config, const Reward& reward,
                                         int count) {
  const SearchSpace space = searched_space(config.space, SearchStage::kSingle, std::nullopt);
  const CostTable table(space, reward.models());
  std::mt19937_64 random(stream_seed(config.seed, SeedStream::kRandomNetworks));
  std::vector<Architecture> members;
  for (const Decisions& decisions :
       samples_near_targets(space, table, reward, config.random_tolerance, count, random)) {
    members.push_back(decode(space, decisions));
    members.back().name = fmt::format("random-{:02}", members.size());
  }
  return members;
}

void require_random_members(const SearchConfig& config, const Reward& reward, int count) {
  const size_t found = random_members(config, reward, count).size();
  if (int(found) >= count) return;
  throw Error(
      fmt::format("space '{}' has only {} networks near the targets; ask for fewer random "
                  "networks or give a larger random_tolerance",
                  config.space.name, found));
}

}  // namespace ridgewalk
