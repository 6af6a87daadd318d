#include "experiments/run/search_run.h"

#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "space/catalog.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

// The result of `stage` in another run's result.yaml.
Architecture earlier_result(const std::string& folder, SearchStage stage) {
  const std::string path = folder + "/result.yaml";
  FieldReader reader(parse_yaml(read_file(path), path));
  const std::string name(to_string(stage));
  if (!reader.has("stages")) reader.source().fail("holds no search result; give a run's folder");
  FieldReader stages(reader.child("stages"));
  if (!stages.has(name)) stages.source().fail("has no result of the " + name + " stage");
  FieldReader result(stages.child(name));
  return architecture_from_yaml(result.required<std::string>("architecture"), path);
}

void write_results(const RunFolder& run, const std::vector<SearchStage>& stages,
                   const std::vector<Contender>& contenders) {
  Json result;
  for (SearchStage stage : stages) {
    const std::string name(to_string(stage));
    result["stages"][name] = *run.result(name);
  }
  if (contenders.empty()) {
    const Json& last = *run.result(std::string(to_string(stages.back())));
    Architecture found = architecture_from_yaml(last["architecture"].get<std::string>(), "result");
    found.name = "found";
    write_file(run.file("found.yaml"), to_yaml(found));
  }
  for (const Contender& contender : contenders) {
    write_file(run.file(contender.name + ".yaml"), to_yaml(contender.architecture));
    result["networks"].push_back({{"name", contender.name},
                                  {"kind", contender.kind},
                                  {"architecture", contender.name + ".yaml"},
                                  {"weights_file", contender.name + ".safetensors"},
                                  {"accuracy_shared_weights", contender.shared},
                                  {"accuracy_from_scratch", contender.trained}});
  }
  write_file(run.file("result.yaml"), yaml_text(result));
}

Json shared_accuracy(const Json& stage_result) {
  const Json& best = stage_result["best"];
  return {{"top1", best["accuracy"]}, {"split", best["split"]}, {"weights", best["weights"]}};
}

std::vector<Contender> contenders_of(const RunFolder& run, const SearchConfig& config) {
  const auto found = [&](SearchStage stage, const std::string& name) {
    const Json& result = *run.result(std::string(to_string(stage)));
    Contender contender{name, "found", {}, shared_accuracy(result), {}};
    contender.architecture =
        architecture_from_yaml(result["architecture"].get<std::string>(), "result");
    contender.architecture.name = name;
    return contender;
  };
  const Target& target = config.reward.targets[0];
  std::vector<Contender> list{found(SearchStage::kFine, "found-conv"),
                              found(SearchStage::kHybrid, "found-hybrid")};
  const Architecture reference = for_space(find_architecture(config.reference), config.space);
  list.push_back({"reference", "reference", scale_to_latency(reference, target), {}, {}});
  list.push_back(
      {"random",
       "random",
       random_architecture(config.space, target, config.random_tolerance, mix(config.seed, 300)),
       {},
       {}});
  return list;
}

}  // namespace

void check_data(const SearchConfig& config, const Dataset& data) {
  if (config.space.channels != data.channels || config.space.classes != data.classes) {
    throw Error("space '" + config.space.name + "' takes " + std::to_string(config.space.channels) +
                " channels to " + std::to_string(config.space.classes) + " classes; " + data.name +
                " has " + std::to_string(data.channels) + " and " + std::to_string(data.classes));
  }
  for (const Distillation& distillation :
       {config.weights.distillation, config.train.distillation}) {
    if (distillation.labels) require_same_split(*distillation.labels, data);
    if (distillation.teacher) Teacher(*distillation.teacher, data, {});
  }
}

StartingPoint check_search(const SearchConfig& config, const std::vector<SearchStage>& stages,
                           const std::string& from, const Dataset& data) {
  find_architecture(config.reference);
  check_data(config, data);
  StartingPoint start;
  if (const auto before = stage_before(stages.front())) {
    const Architecture result = earlier_result(from, *before);
    // The fine space depends on widths, depths and expansions alone, which its result still has.
    start = {result, searched_space(config.space, *before, result), from};
    const std::string weights = supernet_file(from, *before);
    if (config.stages.at(stages.front()).warm_start && !std::filesystem::exists(weights)) {
      throw Error(weights, 0, "is not there; the warm start needs it (or set warm_start: false)");
    }
  }
  for (SearchStage stage : stages) {
    // The spaces of later stages are not known before the results of earlier ones; their options
    // are.
    const bool known = stage == stages.front();
    const SearchSpace space =
        known ? searched_space(config.space, stage, start.architecture) : config.space;
    const SearchStageConfig& stage_config = config.stages.at(stage);
    const Reward reward = scaled_targets(config.reward, stage_config.latency_factor);
    const std::string out_of_reach = TunasSearch(space, reward, stage_config.tunas).out_of_reach();
    if (!out_of_reach.empty()) throw Error(out_of_reach);
    // Architectures to be tried must be there before the supernet is trained.
    if (known && stage_config.tunas.method != SearchMethod::kTunas) {
      std::mt19937_64 random(config.seed);
      sample_near_targets(space, CostTable(space, reward.ridge_points()), reward,
                          stage_config.tunas.trials.tolerance, random);
    }
  }
  return start;
}

SearchStage stage_named(const std::string& name) {
  for (SearchStage stage : kSearchStages) {
    if (name == to_string(stage)) return stage;
  }
  throw Error("no stage is named '" + name + "'; there are coarse, fine, hybrid, single");
}

SearchStage stage_of_run(const std::string& folder, const std::string& name) {
  if (!name.empty()) return stage_named(name);
  for (SearchStage stage :
       {SearchStage::kSingle, SearchStage::kCoarse, SearchStage::kFine, SearchStage::kHybrid}) {
    if (std::filesystem::exists(supernet_file(folder, stage))) return stage;
  }
  throw Error(folder, 0, "holds no supernet; give the folder of a finished search");
}

SearchSpace searched_space(const SearchConfig& config, const std::string& folder,
                           SearchStage stage) {
  const Architecture found = earlier_result(folder, stage);
  const auto before = stage_before(stage);
  if (!before) return searched_space(config.space, stage, std::nullopt);
  // What a fine stage froze its own result has too; attention is what a hybrid stage adds.
  if (stage == SearchStage::kFine) return searched_space(config.space, stage, found);
  return searched_space(config.space, stage, earlier_result(folder, *before));
}

SearchOutcome run_search(RunFolder& run, const SearchConfig& config,
                         const std::vector<SearchStage>& stages, const StartingPoint& start,
                         const Dataset& data, const Session& session) {
  std::optional<Architecture> previous = start.architecture;
  std::optional<SearchSpace> previous_space = start.space;
  std::string weights_folder = start.weights_folder;
  for (SearchStage stage : stages) {
    const Json result =
        search_phase(run, config, stage, previous_space, previous, weights_folder, data, session);
    previous_space = searched_space(config.space, stage, previous);
    previous = architecture_from_yaml(result["architecture"].get<std::string>(), "result");
    weights_folder = run.file(".");
  }
  SearchOutcome outcome{stages, {}};
  if (stages.size() == 3) {
    outcome.contenders = contenders_of(run, config);
    for (size_t i = 0; i < outcome.contenders.size(); ++i) {
      Contender& contender = outcome.contenders[i];
      TrainOptions options = config.train;
      options.seed = mix(config.seed, 500);
      contender.trained =
          training_phase(run, contender.name, contender.architecture, options, data, session);
    }
  }
  write_results(run, stages, outcome.contenders);
  return outcome;
}

Architecture scale_to_latency(const Architecture& architecture, const Target& target) {
  const auto distance_of = [&](const Architecture& scaled) {
    const Graph graph = lower(scaled);
    std::vector<Macs> taken;
    for (MacsPerByte ridge_point : target.ridge_points) {
      taken.push_back(latency(graph, ridge_point));
    }
    return std::abs(target.ratio(taken) - 1);
  };
  Architecture nearest = architecture;
  double smallest = INFINITY;
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

Architecture random_architecture(const SearchSpace& space, const Target& target, double tolerance,
                                 uint64_t seed) {
  std::mt19937_64 random(seed);
  const Reward reward{.targets = {target}};
  const CostTable table(space, reward.ridge_points());
  Architecture architecture =
      decode(space, sample_near_targets(space, table, reward, tolerance, random));
  architecture.name = "random";
  return architecture;
}

}  // namespace ridgewalk
