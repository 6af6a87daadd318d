#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/run/fingerprint.h"
#include "experiments/run/interrupt.h"
#include "experiments/run/train_config.h"
#include "space/error.h"
#include "space/lowering.h"
#include "space/yaml.h"

namespace ridgewalk {

int train_command(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "train ARCH --data D --out DIR [--weights W] [--config FILE] [--resume]",
      std::string("Trains a network from scratch, or from given weights. D is one of\n") +
          kDatasets + ".",
      "arch", 1);
  line.add()("data", po::value<std::string>(), "data set");
  line.add()("out", po::value<std::string>(), "the run's folder");
  line.add()("config", po::value<std::string>(), "YAML of epochs, batch_size, optimizer, ...");
  line.add()("weights", po::value<std::string>(), "safetensors file to start from");
  line.add()("distilled", po::value<std::string>(),
             "soft labels of `ridgewalk distill` to train on, with their augmentation");
  line.add()("initialization", po::value<std::string>(),
             "of layer scales: residual (default) or released");
  line.add()("reset-head", "start the classifier anew where the classes differ");
  line.add_seed("of weights, order and augmentation");
  line.add_number<int64_t>("search-validation", 0, 1'000'000'000,
                           "training images held out and reported apart", 0);
  line.add_number<int>("checkpoint-every", 1, 1'000'000'000, "steps", 100);
  line.add()("resume", "go on with the run in --out");
  line.add_data_options();
  line.add_loader_options();
  line.add_input_options();
  line.add_session_options();
  if (!line.parse(arguments)) return 0;
  catch_interrupts();

  TrainOptions options;
  if (line.has("config")) options = load_train_options(line.get<std::string>("config"));
  if (line.has("initialization")) {
    options.initialization = parse_initialization(line.get<std::string>("initialization"));
  }
  if (line.has("weights")) options.initial_weights = line.get<std::string>("weights");
  options.reset_head = line.has("reset-head");
  if (options.reset_head && options.initial_weights.empty()) {
    throw Error("--reset-head needs --weights");
  }
  if (line.has("distilled")) {
    use_distilled(line.get<std::string>("distilled"), options.distillation, options.augmentation);
  }
  if (line.has("seed")) options.seed = line.seed();
  Session session = line.session();
  session.checkpoint_every = line.get<int>("checkpoint-every");
  if (session.checkpoint_every < 1) throw Error("--checkpoint-every must be at least 1");
  const auto held_out = line.get<int64_t>("search-validation");
  const Architecture architecture = line.architecture(line.words()[0]);
  const FolderOptions folder = line.folder_options(architecture.resolution);
  const Dataset data = load_dataset(line.required("data"), held_out,
                                    split_seed(options.distillation, options.seed), folder);
  require_fits(architecture, data);
  require_training_memory(lower(architecture),
                          std::min<int64_t>(options.batch_size, data.train.size()), session);
  // Refuses a network that does not fit the data before anything is written.
  { const Trainer probe(architecture, data, options, session.machine); }

  const std::string config = line.has("config") ? read_file(line.get<std::string>("config")) : "";
  std::string fingerprint = fmt::format(
      "{}\n{}\n{} {} {} {} {} {}{}{}", to_yaml(architecture), config, data.name, held_out,
      options.seed, options.initial_weights, options.reset_head, int(options.initialization),
      fingerprint_of(options.distillation, data), fingerprint_of(session.machine));
  if (data.damaged) fingerprint += fmt::format(" crop {}", data.crop_fraction);
  const std::string out = line.required("out");
  RunFolder run = line.has("resume") ? RunFolder::resume(out, fingerprint)
                                     : RunFolder::create(out, fingerprint);
  write_file(run.file("config.yaml"), config);
  write_file(run.file("architecture.yaml"), to_yaml(architecture));
  const Json result = training_phase(run, "weights", architecture, options, data, session);
  write_file(run.file("result.yaml"), yaml_text(result));
  fmt::print("{}: top-1 {}; test top-5 {:.2f} %, loss {:.4f}; weights in {}\n", architecture.name,
             top1_text(result), 100 * result["test"]["top5"].get<double>(),
             result["test"]["loss"].get<double>(), run.file("weights.safetensors"));
  return 0;
}

}  // namespace ridgewalk
