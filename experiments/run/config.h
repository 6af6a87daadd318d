// The YAML of an experiment (experiments/configs/*.yaml).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/run/train_config.h"
#include "roofline/profile.h"
#include "search/stages.h"
#include "supernet/supernet.h"
#include "supernet/training/proxies.h"

namespace ridgewalk {

// In a list of them.
inline constexpr size_t kMostRidgePoints = 10'000;

// One search stage.
struct SearchStageConfig {
  TunasOptions tunas;
  double learning_rate = 0;   // of the shared weights at the peak
  double latency_factor = 1;  // on every target: a hybrid stage may spend more, on attention
  bool warm_start = false;  // from the weights of the stage before, where names and prefixes agree
  Quantized quantized = Quantized::kOff;  // what sampled networks round to int8
  // Judges in place of shared weights, which are then not trained: of random search and evolution.
  std::optional<Proxy> judge = {};
};

struct SearchConfig {
  SearchSpace space;           // with the keys `resolution` and `classes`, if given
  bool classes_given = false;  // else those of the data may take the place of the space's
  std::string data;
  int64_t search_validation = 5000;  // training images held out
  double crop_fraction = 0.875;      // of an image file's shorter side, when not cropped at random
  uint64_t seed = 0;
  int threads = 0;  // of each piece of work; 0: one
  std::string precision = "auto";
  Reward reward;
  SupernetOptions weights;
  std::map<SearchStage, SearchStageConfig> stages;
  TrainOptions train;              // of the found networks, from scratch
  Architecture reference;          // scaled to the targets' latency, for comparison
  double random_tolerance = 0.05;  // relative distance of a random network from the target
  int random_networks = 1;         // that are trained beside what was found
  std::vector<MacsPerByte> report_ridge_points;
  int checkpoint_every = 100;  // steps

  // The YAML after overrides, with what named files say in the place of their names: what a run's
  // folder keeps.
  std::string resolved;
};

// From the command line.
struct ConfigOverrides {
  std::optional<uint64_t> seed;
  std::optional<int> threads;
  std::optional<std::string> targets;  // YAML, in place of the configuration's
  std::optional<int> resolution = {}, classes = {};
  // Of every stage.
  std::optional<Quantized> quantized = {};
  std::optional<SearchMethod> method = {};
  std::optional<Proxy> judge = {};
};

// `base: FILE`, beside the file, gives all keys that the file does not have itself: a section is
// replaced whole. Throws Error with file and line for what is missing, unknown or out of range.
SearchConfig load_search_config(const std::string& path, const ConfigOverrides& overrides);
// The same of a text that was read from `path`, which may be a pipe: it can be read only once.
SearchConfig search_config_from_yaml(const std::string& yaml, const std::string& path,
                                     const ConfigOverrides& overrides);

}  // namespace ridgewalk
