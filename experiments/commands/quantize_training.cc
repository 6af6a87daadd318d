#include "experiments/commands/quantize_training.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/commands/memory_check.h"
#include "experiments/run/fingerprint.h"
#include "experiments/run/group_run.h"
#include "experiments/run/interrupt.h"
#include "experiments/run/train_config.h"
#include "experiments/run/training_phase.h"
#include "space/file.h"
#include "space/yaml.h"
#include "supernet/formats/weights.h"
#include "supernet/quantization/quantized_executor.h"

namespace ridgewalk {
namespace {

constexpr const char* kQatOptions[] = {"config", "epochs",           "learning-rate", "scales",
                                       "freeze", "checkpoint-every", "resume"};

// Fine-tuning: a fifth of what training from scratch takes, or less.
TrainOptions qat_options(const CommandLine& line, const std::string& config) {
  TrainOptions options{
      .epochs = 3,
      .batch_size = 64,
      .optimizer = {.kind = OptimizerKind::kAdamW, .learning_rate = 2e-4, .weight_decay = 0.01}};
  if (!config.empty()) {
    options = read_train(parse_yaml(config, line.get<std::string>("config")));
  }
  if (line.given("epochs")) options.epochs = line.get<int>("epochs");
  if (line.given("learning-rate")) {
    options.optimizer.learning_rate = line.get<double>("learning-rate");
  }
  if (line.given("seed")) options.seed = line.seed();
  return options;
}

RunFolder open_qat(const CommandLine& line, const QatStart& start, const std::string& config,
                   const TrainOptions& options, const Dataset& data, const Session& session) {
  std::string scales;
  for (const auto& value : start.quantized.quantized.values) {
    if (value) scales += fmt::format(" {}", value->scale);
  }
  for (const auto& weight : start.quantized.quantized.weights) {
    if (weight) scales += fmt::format(" [{}]", fmt::join(weight->scales, " "));
  }
  const std::string inputs = fingerprint(
      {.texts = {to_yaml(start.architecture), config},
       .settings = fmt::format("weights: contents {:016x}\nstart:{}\nepochs: {}\nlearning-rate: "
                               "{}\nseed: {}\nscales: {}\nfreeze: {}\n",
                               weights_hash(start.weights), scales, options.epochs,
                               options.optimizer.learning_rate, options.seed,
                               line.get<std::string>("scales"), line.get<double>("freeze")),
       .distillations = {&options.distillation},
       .data = data,
       .compute = session.compute});
  return open_run(line.required("out"), line.has("resume"), inputs, nullptr);
}

std::string qat_config(const CommandLine& line) {
  return line.has("config") ? read_file(line.get<std::string>("config")) : "";
}

ScaleRule scale_rule(const CommandLine& line) {
  return option_named<ScaleRule>("--scales", line.get<std::string>("scales"));
}

// Both networks on the images that training holds out, else on the test images.
class Comparison {
 public:
  Comparison(const Dataset& data, const Session& session) : data_(data), session_(session) {}

  std::string split() const { return is_held_out() ? "search-validation" : "test"; }
  Accuracy validation(const QuantizedNetwork& network) const {
    return of(network, is_held_out() ? data_.search_validation : data_.test);
  }
  Accuracy training(const QuantizedNetwork& network) const {
    return of(network, data_.train, 10000);
  }

 private:
  bool is_held_out() const { return data_.search_validation.size() > 0; }
  Accuracy of(const QuantizedNetwork& network, const ImageSet& set, int64_t most = 1 << 30) const {
    const QuantizedExecutor executor(network);
    return evaluate([&](const torch::Tensor& images) { return executor.forward(images); },
                    network.quantized.graph, data_, set, session_.compute, {.most = most});
  }

  const Dataset& data_;
  const Session& session_;
};

// Why QAT may be below PTQ, by what it did to the training images.
std::string why_below(const Accuracy& ptq, const Accuracy& qat) {
  return qat.top1 >= ptq.top1
             ? fmt::format(
                   "it fits the training images better, {:.2f} % after {:.2f} %: train for "
                   "fewer epochs, or with augmentation or a teacher",
                   100 * qat.top1, 100 * ptq.top1)
             : fmt::format(
                   "it fits the training images worse, {:.2f} % after {:.2f} %: lower the "
                   "learning rate, or train for more epochs",
                   100 * qat.top1, 100 * ptq.top1);
}

}  // namespace

void add_qat_options(CommandLine& line) {
  namespace po = boost::program_options;
  line.add()("config", po::value<std::string>(),
             "of qat: YAML of epochs, batch_size, optimizer, ..., as `ridgewalk train` takes it");
  line.add_number<int>("epochs", 1, 100000, "of qat, instead of the configuration's", 3);
  line.add_number<double>("learning-rate", 0, 100, "of qat, instead of the configuration's", 2e-4);
  line.add()("scales", po::value<std::string>()->default_value("lsq"),
             "of qat: lsq learns steps, observed follows the batches by moving averages");
  line.add_number<double>("freeze", 0, 1, "share of the steps after which observed scales stay",
                          0.5);
  line.add_number<int>("checkpoint-every", 1, 1'000'000'000, "steps of qat", 100);
  line.add()("resume", "continue the qat in --out");
}

void refuse_qat_options(const CommandLine& line) {
  for (const char* option : kQatOptions) {
    if (line.given(option)) throw Error(fmt::format("--{} goes with --method qat", option));
  }
}

void check_qat_options(const CommandLine& line) {
  qat_options(line, qat_config(line));
  scale_rule(line);
  require_run(line.required("out"), line.has("resume"));
}

QatResult train_quantized(const CommandLine& line, const QatStart& start, const Dataset& data,
                          const Session& session) {
  const std::string config = qat_config(line);
  const TrainOptions options = qat_options(line, config);
  const ScaleRule rule = scale_rule(line);
  Session own = session;
  own.checkpoint_every = line.get<int>("checkpoint-every");
  require_rounded_training_memory(start.quantization.folded().graph,
                                  std::min<int64_t>(options.batch_size, data.train.size()), own);
  catch_interrupts();  // calibration, before this, would not look
  RunFolder run = open_qat(line, start, config, options, data, own);
  const QuantizationAware aware{
      .folded = start.quantization.folded(),
      .simulation = {.start = start.quantized.quantized, .rewrite = start.rewrite, .rule = rule},
      .frozen_from = line.get<double>("freeze")};
  QatResult result{quantization_aware_phase({run, data, own}, aware, options), {}, {}};

  const Comparison comparison(data, session);
  const double ptq = comparison.validation(start.quantized).top1;
  const double qat = comparison.validation(result.network).top1;
  result.json = {{"epochs", options.epochs},  {"learning_rate", options.optimizer.learning_rate},
                 {"scales", to_string(rule)}, {"split", comparison.split()},
                 {"ptq_top1", ptq},           {"qat_top1", qat}};
  result.text = fmt::format("{}: top-1 {:.2f} % with qat, {:.2f} % with ptq\n", comparison.split(),
                            100 * qat, 100 * ptq);
  if (qat < ptq) {
    const std::string why =
        why_below(comparison.training(start.quantized), comparison.training(result.network));
    result.json["below_ptq"] = why;
    result.text += "qat is below ptq: " + why + "\n";
  }
  return result;
}

}  // namespace ridgewalk
