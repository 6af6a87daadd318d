#include "experiments/config.h"

#include <cmath>

#include "space/catalog.h"
#include "supernet/augmentation_yaml.h"

namespace ridgewalk {
namespace {

// Runs `make`, giving what it throws the place of `source`.
template <class Make>
auto at_line(const YamlSource& source, Make make) {
  try {
    return make();
  } catch (const Error& error) {
    source.fail(error.what());
  }
}

void read_optimizer(FieldReader& reader, OptimizerOptions& options) {
  if (reader.has("optimizer")) {
    const auto name = reader.required<std::string>("optimizer");
    options.kind = at_line(reader.child("optimizer"), [&] { return optimizer_named(name); });
  }
  bounded(reader, "learning_rate", options.learning_rate, 0, 100);
  bounded(reader, "warmup", options.warmup, 0, 1);
  bounded(reader, "momentum", options.momentum, 0, 0.9999);
  bounded(reader, "decay", options.decay, 0, 0.999999);
  bounded(reader, "epsilon", options.epsilon, 0, 10);
  bounded(reader, "weight_decay", options.weight_decay, 0, 10);
}

TrainOptions read_train(const YamlSource& source, const TrainOptions& defaults) {
  FieldReader reader(source);
  TrainOptions options = defaults;
  bounded(reader, "epochs", options.epochs, 1, 100000);
  bounded(reader, "batch_size", options.batch_size, 2, 65536);
  bounded(reader, "label_smoothing", options.label_smoothing, 0, 0.99);
  bounded(reader, "seed", options.seed, 0, 1e18);
  for (auto [key, value] :
       {std::pair("drop_path", &options.drop_path), std::pair("dropout", &options.dropout)}) {
    if (!reader.has(key)) continue;
    value->emplace();
    bounded(reader, key, **value, 0, 0.99);
  }
  std::string initialization = "residual";
  reader.optional("initialization", initialization);
  options.initialization =
      at_line(reader.has("initialization") ? reader.child("initialization") : source,
              [&] { return parse_initialization(initialization); });
  read_optimizer(reader, options.optimizer);
  read_augmentation(reader, options.augmentation);
  reader.finish();
  return options;
}

SupernetOptions read_weights(const YamlSource& source) {
  FieldReader reader(source);
  SupernetOptions options;
  bounded(reader, "batch_size", options.batch_size, 2, 65536);
  bounded(reader, "validation_batch_size", options.validation_batch_size, 2, 65536);
  bounded(reader, "label_smoothing", options.label_smoothing, 0, 0.99);
  read_optimizer(reader, options.optimizer);
  read_augmentation(reader, options.augmentation);
  reader.finish();
  return options;
}

StageConfig read_stage(const YamlSource& source, const SupernetOptions& weights) {
  FieldReader reader(source);
  StageConfig stage{.tunas = {}, .learning_rate = weights.optimizer.learning_rate};
  TunasOptions& tunas = stage.tunas;
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
  reader.finish();
  return stage;
}

// {profile: NAME or ridge_point: X} with {latency_macs: X, latency_ms: X (the profile must know its
// peak) or relative_to: ARCH [and factor: X]}.
Target read_target(const YamlSource& source, const SearchSpace& space) {
  FieldReader reader(source);
  Target target;
  std::optional<Profile> profile;
  if (reader.has("profile") == reader.has("ridge_point")) {
    source.fail("a target needs either 'profile' or 'ridge_point'");
  }
  if (reader.has("profile")) {
    target.name = reader.required<std::string>("profile");
    profile = at_line(source, [&] { return load_profile(target.name); });
    target.ridge_point = profile->ridge_point();
  } else {
    bounded(reader, "ridge_point", target.ridge_point.value, 0, 1e6);
    target.name = "ridge point " + reader.required<std::string>("ridge_point");
  }
  const bool by_macs = reader.has("latency_macs");
  const bool by_ms = reader.has("latency_ms");
  const bool relative = reader.has("relative_to");
  if (by_macs + by_ms + relative != 1) {
    source.fail("a target needs one of 'latency_macs', 'latency_ms', 'relative_to'");
  }
  if (by_macs) bounded(reader, "latency_macs", target.latency.value, 1, 1e18);
  if (by_ms) {
    double latency_ms = 0;
    bounded(reader, "latency_ms", latency_ms, 1e-9, 1e9);
    if (!profile || !profile->peak()) {
      source.fail("'latency_ms' needs a profile with a peak; give latency_macs or relative_to");
    }
    target.latency.value = latency_ms * 1e-3 * profile->peak()->value;
  }
  if (relative) {
    double factor = 1;
    bounded(reader, "factor", factor, 1e-6, 1e6);
    const auto name = reader.required<std::string>("relative_to");
    target.latency = at_line(source, [&] {
      return factor * latency(lower(for_space(find_architecture(name), space)), target.ridge_point);
    });
  }
  reader.finish();
  return target;
}

Reward read_reward(FieldReader& config, const SearchSpace& space) {
  Reward reward;
  if (config.has("reward")) {
    FieldReader reader(config.child("reward"));
    std::string form = "absolute";
    reader.optional("form", form);
    const auto known_form = reward_form_named(form);
    if (!known_form) reader.source().fail("'form' must be absolute, mnas_soft or mnas_hard");
    reward.form = *known_form;
    bounded(reader, "beta", reward.beta, -100, 0);
    std::string combine = "sum";
    reader.optional("combine", combine);
    const auto known_combine = combine_named(combine);
    if (!known_combine) reader.source().fail("'combine' must be sum or worst");
    reward.combine = *known_combine;
    reader.finish();
  }
  const YamlSource targets = config.child("targets");
  if (!targets.node.IsSequence() || targets.node.size() == 0) {
    targets.fail("'targets' must list at least one target");
  }
  for (const YAML::Node& node : targets.node) {
    reward.targets.push_back(read_target({node, targets.file}, space));
  }
  return reward;
}

SearchSpace read_space(FieldReader& reader) {
  const auto name = reader.required<std::string>("space");
  return at_line(reader.child("space"), [&] { return load_search_space(name); });
}

}  // namespace

Architecture for_space(Architecture architecture, const SearchSpace& space) {
  architecture.resolution = space.resolution[0];
  architecture.channels = space.channels;
  architecture.classes = space.classes;
  return architecture;
}

SearchConfig load_search_config(const std::string& path, const ConfigOverrides& overrides) {
  YamlSource source = parse_yaml(read_file(path), path);
  if (!source.node.IsMap()) source.fail("expected a mapping 'key: value'");
  if (overrides.seed) source.node["seed"] = *overrides.seed;
  if (overrides.threads) source.node["threads"] = *overrides.threads;
  FieldReader reader(source);
  SearchConfig config;
  config.space = read_space(reader);
  config.data = reader.required<std::string>("data");
  bounded(reader, "search_validation", config.search_validation, 16, 1e9);
  bounded(reader, "crop_fraction", config.crop_fraction, 0.01, 1);
  bounded(reader, "seed", config.seed, 0, 1e18);
  bounded(reader, "threads", config.threads, 0, 4096);
  reader.optional("precision", config.precision);
  config.reward = read_reward(reader, config.space);
  config.weights = read_weights(reader.child("weights"));
  for (SearchStage stage : {SearchStage::kCoarse, SearchStage::kFine, SearchStage::kHybrid}) {
    const std::string name(to_string(stage));
    if (reader.has(name)) config.stages[stage] = read_stage(reader.child(name), config.weights);
  }
  config.train = read_train(reader.child("train"), {});
  reader.optional("reference", config.reference);
  bounded(reader, "random_tolerance", config.random_tolerance, 1e-6, 1);
  bounded(reader, "checkpoint_every", config.checkpoint_every, 1, 1e9);
  for (double ridge_point : reader.list<double>("report_ridge_points")) {
    if (!(ridge_point >= 0 && ridge_point <= 1e6)) {
      reader.child("report_ridge_points").fail("a ridge point must be from 0 to 1000000");
    }
    config.report_ridge_points.push_back({ridge_point});
  }
  reader.finish();
  config.resolved = YAML::Dump(source.node) + "\n";
  return config;
}

TrainOptions load_train_options(const std::string& path) {
  return read_train(parse_yaml(read_file(path), path), {});
}

}  // namespace ridgewalk
