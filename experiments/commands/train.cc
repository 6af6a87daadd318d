#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/commands/memory_check.h"
#include "experiments/machine/resources.h"
#include "experiments/run/counted.h"
#include "experiments/run/fingerprint.h"
#include "experiments/run/group_run.h"
#include "experiments/run/interrupt.h"
#include "experiments/run/search_run.h"
#include "experiments/run/train_config.h"
#include "experiments/run/training_phase.h"
#include "space/decisions.h"
#include "space/error.h"
#include "space/lowering.h"
#include "space/yaml.h"
#include "supernet/training/lanes.h"
#include "supernet/training/provenance_check.h"

namespace ridgewalk {
namespace {

CommandLine train_command_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "train ARCH --data D --out DIR [--weights W|--inherit RUN] [--config FILE] [--resume]",
      std::string("Trains a network from scratch, from given weights or from its slices of a "
                  "search's. D is one of\n") +
          kDatasets + ".",
      "arch", 1);
  line.add()("data", po::value<std::string>(), "data set");
  line.add()("out", po::value<std::string>(), "the run's folder");
  line.add()("config", po::value<std::string>(), "YAML of epochs, batch_size, optimizer, ...");
  line.add()("weights", po::value<std::string>(), "safetensors file to start from");
  line.add()("inherit", po::value<std::string>(),
             "folder of a search whose shared weights the network starts from, as a member of the "
             "latest stage that it fits");
  line.add()("distilled", po::value<std::string>(),
             "soft labels of `ridgewalk distill` to train on, with their augmentation");
  line.add()("initialization", po::value<std::string>(),
             "of layer scales: residual (default) or released");
  line.add()("reset-head", "initialize the classifier anew where the classes differ");
  line.add_seed("of weights, order and augmentation");
  line.add_number<int64_t>("search-validation", 0, 1'000'000'000,
                           "training images held out and reported apart", 0);
  line.add_number<int>("checkpoint-every", 1, 1'000'000'000, "steps", 100);
  line.add()("resume", "continue the run in --out");
  line.add_data_options();
  line.add_loader_options();
  line.add_group_options();
  line.add_input_options();
  line.add_session_options("1 or all cores, whichever a few steps show to be faster");
  return line;
}

// Seconds of a step on so many threads.
double step_seconds(Trainer& trainer, int threads) {
  constexpr double kEnough = 0.05;  // seconds
  set_threads(threads);
  const auto advance = [&] {
    trainer.set_step(0);  // where the learning rate is small
    trainer.advance();
  };
  advance();  // the first one on other threads prepares what the next ones reuse
  const auto start = std::chrono::steady_clock::now();
  int steps = 0;
  do {
    advance();
    ++steps;
  } while (seconds_since(start) < kEnough);
  return seconds_since(start) / steps;
}

// What --threads says, else what the run that is resumed had: results depend on it. Else 1, unless
// `probe`, whose training counts for nothing, is clearly faster on all cores: a small network loses
// more at the threads' barriers than they gain, above all beside other programs.
int choose_threads(const CommandLine& line, Trainer& probe, const Session& session) {
  constexpr int kTurns = 3;
  constexpr double kClearly = 1.1;  // times as fast
  if (line.has("threads")) return line.get<int>("threads");
  const int cores = line.usable_cores();
  if (line.has("resume")) return threads_of_run(line.required("out")).value_or(cores);
  if (cores == 1 || !session.compute.device.is_cpu()) return cores;
  double one = INFINITY, all = INFINITY;  // the least of each, in turns
  for (int turn = 0; turn < kTurns; ++turn) {
    one = std::min(one, step_seconds(probe, 1));
    all = std::min(all, step_seconds(probe, cores));
  }
  const int threads = one > kClearly * all ? cores : 1;
  say(session, fmt::format("train: {}: a step takes {:.4g} ms on 1 and {:.4g} on {}; "
                           "--threads overrides this",
                           counted(threads, "thread"), 1e3 * one, 1e3 * all, cores));
  return threads;
}

// The supernet of the run in a folder that `architecture` is a member of: that of the latest stage.
void inherit(const std::string& folder, const Architecture& architecture, TrainOptions& options) {
  const SearchConfig config = config_of_run(folder);
  std::string why;
  for (SearchStage stage :
       {SearchStage::kHybrid, SearchStage::kFine, SearchStage::kCoarse, SearchStage::kSingle}) {
    const std::string weights = supernet_file(folder, stage);
    if (!path_exists(weights)) continue;
    std::optional<SearchSpace> space;
    try {
      space = searched_space(config, folder, stage);
      encode(*space, architecture);
    } catch (const Error& error) {
      if (why.empty()) why = error.what();
      continue;
    }
    options.initial_weights = weights;
    options.inherited_space = space;
    return;
  }
  throw Error(folder, 0, "has no supernet of this network: " + why);
}

// `config` is the text of --config, or empty.
TrainOptions train_options(const CommandLine& line, const std::string& config,
                           const Architecture& architecture) {
  TrainOptions options;
  if (line.has("config")) {
    options = read_train(parse_yaml(config, line.get<std::string>("config")));
  }
  if (line.has("initialization")) {
    options.initialization =
        option_named<Initialization>("--initialization", line.get<std::string>("initialization"));
  }
  if (line.has("weights")) options.initial_weights = line.get<std::string>("weights");
  options.reset_head = line.has("reset-head");
  if (line.has("inherit")) {
    if (line.has("weights")) throw Error("--inherit and --weights exclude each other; keep one");
    if (options.reset_head) throw Error("--inherit takes the head, too; leave --reset-head out");
    inherit(line.get<std::string>("inherit"), architecture, options);
  }
  if (options.reset_head && options.initial_weights.empty()) {
    throw Error("--reset-head needs --weights");
  }
  if (line.has("distilled")) {
    use_distilled(line.get<std::string>("distilled"), options.distillation, options.augmentation);
  }
  if (line.has("seed")) options.seed = line.seed();
  return options;
}

// What the weights that training starts from were trained on, where there are any and they say it.
std::optional<Provenance> weights_learned(const TrainOptions& options) {
  return options.initial_weights.empty() ? std::nullopt : read_provenance(options.initial_weights);
}

// Split as the weights or labels that training starts from; normalised as those weights were.
Dataset dataset_of(const CommandLine& line, const TrainOptions& options,
                   const Architecture& architecture) {
  Dataset data =
      load_dataset(line.required("data"), line.get<int64_t>("search-validation"),
                   split_seed(options.distillation, options.seed, options.initial_weights),
                   line.folder_options(architecture.resolution));
  if (const auto learned = weights_learned(options)) normalize_as(*learned, data);
  return data;
}

// New, or continued with --resume; `config` is the YAML of --config.
RunFolder open_run(const CommandLine& line, const Architecture& architecture,
                   const std::string& config, const TrainOptions& options, const Dataset& data,
                   const Session& session) {
  const std::string& initial = options.initial_weights;
  const std::string weights = initial.empty()
                                  ? "none"
                                  : fmt::format("contents {:016x}{}", weights_hash(initial),
                                                options.inherited_space ? " (slices)" : "");
  const std::string inputs =
      fingerprint({.texts = {to_yaml(architecture), config},
                   .settings = fmt::format(
                       "data: {}\nsearch-validation: {}\nseed: {}\nweights: {}\nreset-head: {}\n"
                       "initialization: {}\n{}",
                       data.name, line.get<int64_t>("search-validation"), options.seed, weights,
                       options.reset_head, to_string(options.initialization),
                       data.damaged ? fmt::format("crop-fraction: {}\n", data.crop_fraction) : ""),
                   .distillations = {&options.distillation},
                   .data = data,
                   .compute = session.compute});
  return open_run(line.required("out"), line.has("resume"), inputs, session.compute.group.get());
}

// choose_threads() of the first process, with a network of its own: its steps are no one else's.
int choose_threads(const CommandLine& line, const Architecture& architecture, const Dataset& data,
                   const TrainOptions& options, const Session& session) {
  Compute alone = session.compute;
  alone.group = nullptr;
  // Refuses a network that does not fit the data before anything is written.
  Trainer probe(architecture, data, options, alone);
  ProcessGroup* const group = session.compute.group.get();
  const bool is_first = group == nullptr || group->is_first();
  const int threads = is_first ? choose_threads(line, probe, session) : 0;
  return group == nullptr ? threads : int(group->from_first(threads, true));
}

int train(const CommandLine& line) {
  const std::string config = line.has("config") ? read_file(line.get<std::string>("config")) : "";
  const Architecture architecture = line.classifier(line.words()[0]);
  const TrainOptions options = train_options(line, config, architecture);
  Session session = line.session();
  session.checkpoint_every = line.get<int>("checkpoint-every");
  const Dataset data = dataset_of(line, options, architecture);
  require_fits(architecture, data);
  require_training_memory(lower(architecture),
                          std::min<int64_t>(options.batch_size, data.train.size()), session);
  if (const auto learned = weights_learned(options)) {
    say_other_images(*learned, options.initial_weights, data, data.resolution, session);
  }
  const int threads = choose_threads(line, architecture, data, options, session);
  set_threads(threads);
  const bool has_lanes = !line.has("threads") && session.compute.device.is_cpu();
  if (has_lanes) session.compute.lanes = std::max(1, line.usable_cores() / threads);
  if (session.compute.group && options.shards == 1) {
    say(session,
        "train: `shards` is 1, so every process computes every step; with more, their "
        "batch norms see fewer images and the steps are shared out");
  }

  RunFolder run = open_run(line, architecture, config, options, data, session);
  write_file(run.file("config.yaml"), config);
  write_file(run.file("architecture.yaml"), to_yaml(architecture));
  const TrainingResult result =
      training_phase({run, data, session}, "weights", architecture, options);
  write_file(run.file("result.yaml"), yaml_text(result));
  if (session.compute.group && !session.compute.group->is_first()) return 0;
  fmt::print("{}: top-1 {}; test top-5 {:.2f} %, loss {:.4f}; weights in {}\n", architecture.name,
             top1_text(result), 100 * result.test.top5, result.test.loss,
             run.file("weights.safetensors"));
  return 0;
}

}  // namespace

int train_command(const Arguments& arguments) {
  CommandLine line = train_command_line();
  return run_in_group(line, arguments, [&] { return train(line); });
}

}  // namespace ridgewalk
