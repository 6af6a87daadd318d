#include "experiments/run/config.h"

#include <filesystem>
#include <set>

#include "experiments/run/config_files.h"
#include "experiments/run/target_config.h"
#include "space/catalog.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

void require_proxy_can_judge(const YamlSource& source, const SearchStageConfig& stage) {
  const std::string judge = "judge '" + std::string(to_string(*stage.judge)) + "' ";
  if (stage.tunas.method == SearchMethod::kTunas) {
    source.fail(judge + "needs method random or evolution: TuNAS learns from shared weights");
  }
  if (stage.quantized != Quantized::kOff) {
    source.fail(judge + "rounds nothing to int8; leave quantized out");
  }
}

SearchStageConfig read_stage(const YamlSource& source, const SupernetOptions& weights) {
  FieldReader reader(source);
  SearchStageConfig stage{.tunas = {}, .learning_rate = weights.optimizer.learning_rate};
  TunasOptions& tunas = stage.tunas;
  reader.optional("method", tunas.method);
  bounded(reader, "evaluations", tunas.trials.evaluations, 1, 1e6);
  bounded(reader, "tolerance", tunas.trials.tolerance, 1e-6, 10);
  if (reader.has("sample_tolerance")) {
    bounded(reader, "sample_tolerance", tunas.sample_tolerance.emplace(), 1e-6, 10);
  }
  reader.optional("fair", tunas.fair);
  reader.optional("sandwich", tunas.sandwich);
  bounded(reader, "population", tunas.trials.population, 1, 1e6);
  bounded(reader, "tournament", tunas.trials.tournament, 1, 1e6);
  bounded(reader, "steps", tunas.steps, 1, 1e9);
  bounded(reader, "samples_per_step", tunas.samples_per_step, 1, 1024);
  bounded(reader, "controller_delay", tunas.controller_delay, 0, 1);
  bounded(reader, "operation_warmup", tunas.operation_warmup, 0, 1);
  bounded(reader, "filter_warmup", tunas.filter_warmup, 0, 1);
  bounded(reader, "candidates", tunas.candidates, 1, 10000);
  bounded(reader, "controller_learning_rate", tunas.controller.learning_rate, 0, 100);
  bounded(reader, "controller_learning_rate_growth", tunas.controller.learning_rate_growth, 1e-6,
          1e6);
  bounded(reader, "baseline_momentum", tunas.controller.baseline_momentum, 0, 0.9999);
  bounded(reader, "learning_rate", stage.learning_rate, 0, 100);
  bounded(reader, "latency_factor", stage.latency_factor, 0.01, 100);
  reader.optional("warm_start", stage.warm_start);
  reader.optional("quantized", stage.quantized);
  if (reader.has("judge")) reader.optional("judge", stage.judge.emplace());
  reader.finish();
  if (stage.judge) require_proxy_can_judge(source, stage);
  return stage;
}

// The resolutions and the classes that replace the space's, where they are given. Returns whether
// the classes are.
bool read_input(FieldReader& reader, SearchSpace& space) {
  if (reader.has("resolution")) space.resolution = reader.list<int>("resolution");
  const bool has_classes = reader.has("classes");
  if (has_classes) bounded(reader, "classes", space.classes, 1, 1e6);
  if (reader.has("resolution"))
    at_line(reader.child("resolution"), [&] { return validate(space); });
  return has_classes;
}

// `depth`: how many files refer to this one through their `base`.
SearchConfig config_of(const std::string& yaml, const std::string& path,
                       const ConfigOverrides& overrides, int depth);

// The keys of a file over those of its base. The base must be valid by itself, so that errors in it
// are reported with its own lines.
YamlSource on_base(const std::string& yaml, const std::string& path, int depth) {
  const YamlSource source = parse_yaml(yaml, path);
  FieldReader reader(source);
  if (!reader.has("base")) return source;
  const auto file =
      std::filesystem::path(path).replace_filename(reader.required<std::string>("base")).string();
  if (depth == 8) reader.child("base").fail("'base' leads through 8 files; is it a circle?");
  YamlSource result = parse_yaml(config_of(read_file(file), file, {}, depth + 1).resolved, path);
  std::set<std::string> own;
  for (const auto& entry : source.node) {
    const auto key = yaml_value<std::string>({entry.first, path}, "a key");
    if (!own.insert(key).second) {
      YamlSource{entry.first, path}.fail("key '" + key + "' is given twice; keep one");
    }
    if (key == "base") continue;
    result.node.remove(key);
    result.node[entry.first] = entry.second;  // a node as the key keeps its line
  }
  return result;
}

SearchConfig config_of(const std::string& yaml, const std::string& path,
                       const ConfigOverrides& overrides, int depth) {
  YamlSource source = on_base(yaml, path, depth);
  if (overrides.seed) source.node["seed"] = *overrides.seed;
  if (overrides.threads) source.node["threads"] = *overrides.threads;
  if (overrides.resolution) source.node["resolution"] = *overrides.resolution;
  if (overrides.classes) source.node["classes"] = *overrides.classes;
  for (SearchStage stage : kValues<SearchStage>) {
    const std::string name(to_string(stage));
    if (!source.node[name]) continue;
    const auto replace = [&](const char* key, const auto& value) {
      if (value) source.node[name][key] = std::string(to_string(*value));
    };
    replace("quantized", overrides.quantized);
    replace("method", overrides.method);
    replace("judge", overrides.judge);
  }
  if (overrides.targets) source.node["targets"] = parse_yaml(*overrides.targets, "--targets").node;
  FieldReader reader(source);
  reader.has("base");  // a known key, already removed
  SearchConfig config;
  config.space = read_space(reader, "space");
  config.classes_given = read_input(reader, config.space);
  config.data = read_dataset(reader, "data");
  bounded(reader, "search_validation", config.search_validation, 16, 1e9);
  bounded(reader, "crop_fraction", config.crop_fraction, 0.01, 1);
  bounded(reader, "seed", config.seed, 0, 1e18);
  bounded(reader, "threads", config.threads, 0, 4096);
  reader.optional("precision", config.precision);
  YamlSource targets = reader.child("targets");
  if (overrides.targets) targets.file = "--targets";  // lines count from its own start
  config.reward = read_reward(reader, targets, config.space);
  config.weights = read_weights(reader.child("weights"));
  for (SearchStage stage : kValues<SearchStage>) {
    const std::string name(to_string(stage));
    if (reader.has(name)) config.stages[stage] = read_stage(reader.child(name), config.weights);
  }
  config.train = read_train(reader.child("train"));
  config.reference = reader.has("reference") ? read_architecture(reader, "reference")
                                             : find_architecture("mnv4-conv-small");
  bounded(reader, "random_tolerance", config.random_tolerance, 1e-6, 1);
  bounded(reader, "random_networks", config.random_networks, 1, 1000);
  bounded(reader, "checkpoint_every", config.checkpoint_every, 1, 1e9);
  const std::vector<double> reported = reader.list<double>("report_ridge_points");
  if (reported.size() > kMostRidgePoints) {
    reader.child("report_ridge_points")
        .fail("lists more than " + std::to_string(kMostRidgePoints) + " ridge points; give fewer");
  }
  for (double ridge_point : reported) {
    if (!(ridge_point >= 0 && ridge_point <= 1e6)) {
      reader.child("report_ridge_points").fail("a ridge point must be from 0 to 1000000");
    }
    config.report_ridge_points.push_back({ridge_point});
  }
  reader.finish();
  config.resolved = YAML::Dump(source.node) + "\n";
  return config;
}

}  // namespace

SearchConfig load_search_config(const std::string& path, const ConfigOverrides& overrides) {
  return search_config_from_yaml(read_file(path), path, overrides);
}

SearchConfig search_config_from_yaml(const std::string& yaml, const std::string& path,
                                     const ConfigOverrides& overrides) {
  return config_of(yaml, path, overrides, 0);
}

}  // namespace ridgewalk
