#include <algorithm>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/commands/memory_check.h"
#include "experiments/commands/quantize_training.h"
#include "experiments/report/quantization_report.h"
#include "experiments/report/report.h"
#include "experiments/run/run_folder.h"
#include "space/error.h"
#include "space/file.h"
#include "space/lowering.h"
#include "supernet/formats/weights.h"
#include "supernet/quantization/post_training.h"
#include "supernet/quantization/quantized_executor.h"
#include "supernet/quantization/quantized_files.h"
#include "supernet/training/calibration_images.h"

namespace ridgewalk {
namespace {
enum class QuantizationMethod { kPtq, kQat, kDynamic, kWeights };
}  // namespace

template <>
inline constexpr auto kNames<QuantizationMethod> =
    name_table<QuantizationMethod>("method", {{QuantizationMethod::kPtq, "ptq"},
                                              {QuantizationMethod::kQat, "qat"},
                                              {QuantizationMethod::kDynamic, "dynamic"},
                                              {QuantizationMethod::kWeights, "weights"}});

namespace {

CommandLine quantize_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "quantize ARCH --weights W --data D --out DIR [--method ptq|qat|dynamic|weights]",
      "Turns a trained network to int8 and measures both on the test images. W is a\n"
      "safetensors file or an ONNX file of `ridgewalk export`; D is one of\n" +
          std::string(kDatasets) +
          ".\n"
          "  ptq      weights and activations, whose ranges are those over training images\n"
          "  qat      then trained with its rounding simulated\n"
          "  dynamic  weights; inputs of products are rounded by the range of each batch,\n"
          "           in this command alone: what it writes is what `weights` writes\n"
          "  weights  weights alone; activations stay fp32",
      "arch", 1);
  line.add()("weights", po::value<std::string>(), "safetensors or ONNX file");
  line.add()("data", po::value<std::string>(), "data set");
  line.add()("out", po::value<std::string>(), "folder of the quantised network and report.json");
  line.add()("method", po::value<std::string>()->default_value("ptq"),
             "ptq, qat, dynamic or weights");
  line.add_number<int64_t>("images", 1, 1'000'000, "training images to calibrate on", 1000);
  line.add()("ranges", po::value<std::string>()->default_value("nearest"),
             "min-max, percentile, mse or entropy; nearest: of mse, the percentiles 99.99 "
             "and 99.9 and entropy, the one with the classes that are nearest to those in fp32");
  line.add_number<double>("percentile", 50, 100, "of --ranges percentile", 99.99);
  line.add()("per-tensor", "one scale for all output channels of a weight");
  line.add()("zero-points", po::value<std::string>()->default_value("activations"),
             "of values that may be negative: none (s8), activations (u8 with a zero point behind "
             "SiLU, hard swish and GELU) or all");
  line.add()("equalize", "equalise channels across layers before");
  line.add()("rounding", po::value<std::string>()->default_value("nearest"),
             "of weights: nearest, or adaround for the least error of each layer's sums");
  line.add()("bias-correction", po::value<std::string>()->default_value("none"),
             "none, data or norms");
  line.add()("keep-fp32", po::value<std::string>(), "ops to keep in fp32, with commas between");
  line.add()("float-head", "keep in fp32 all that follows the last stage");
  line.add_number<int64_t>("sensitivity", 0, 1'000'000,
                           "calibration images that decide which ops gain most from fp32; 0: none",
                           128);
  line.add_seed("of the calibration images, and of what qat draws", 0);
  line.add_number<int>("batch-size", 1, 65536, "images", 250);
  add_qat_options(line);
  line.add()("json", "for machines");
  line.add_data_options();
  line.add_input_options();
  line.add_lanes_options("batches");
  return line;
}

struct QuantizeOptions {
  QuantizationMethod method = QuantizationMethod::kPtq;
  PostTrainingOptions post_training;
  int64_t images = 0, sensitivity_images = 0;
  uint64_t seed = 0;
  int batch_size = 0;
};

std::set<std::string> names_in(const std::string& list) {
  std::set<std::string> names;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    std::string name = list.substr(begin, end - begin);
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    names.insert(name);
    begin = end + 1;
  }
  return names;
}

std::vector<CalibrationOptions> range_rules(const CommandLine& line) {
  const std::string ranges = line.get<std::string>("ranges");
  if (line.given("percentile") && ranges != "percentile") {
    throw Error("--percentile goes with --ranges percentile");
  }
  if (ranges == "nearest") return kRangeCandidates;
  return {{.method = option_named<RangeMethod>("--ranges", ranges),
           .percentile = line.get<double>("percentile")}};
}

QuantizeOptions quantize_options(const CommandLine& line) {
  QuantizeOptions options{
      .method = option_named<QuantizationMethod>("--method", line.get<std::string>("method")),
      .post_training = {},
      .images = line.get<int64_t>("images"),
      .sensitivity_images = line.get<int64_t>("sensitivity"),
      .seed = line.seed(),
      .batch_size = line.get<int>("batch-size")};
  PostTrainingOptions& ptq = options.post_training;
  ptq.calibrations = range_rules(line);
  ptq.equalizes = line.has("equalize");
  ptq.rounding = option_named<WeightRounding>("--rounding", line.get<std::string>("rounding"));
  ptq.bias_correction =
      option_named<BiasCorrection>("--bias-correction", line.get<std::string>("bias-correction"));
  ptq.rewrite.per_channel = !line.has("per-tensor");
  ptq.rewrite.zero_points =
      option_named<ZeroPoints>("--zero-points", line.get<std::string>("zero-points"));
  ptq.rewrite.rounds_values =
      options.method == QuantizationMethod::kPtq || options.method == QuantizationMethod::kQat;
  if (line.has("keep-fp32")) ptq.rewrite.fp32_ops = names_in(line.get<std::string>("keep-fp32"));
  if (options.method != QuantizationMethod::kQat) {
    refuse_qat_options(line);
  } else if (ptq.bias_correction != BiasCorrection::kNone) {
    throw Error("--bias-correction goes with the other methods: qat trains the biases");
  } else if (ptq.rounding != WeightRounding::kNearest) {
    throw Error("--rounding goes with the other methods: qat trains what it rounds");
  } else if (line.given("sensitivity") && options.sensitivity_images > 0) {
    throw Error("--sensitivity goes with the other methods: qat changes what it would compare");
  } else {
    check_qat_options(line);
  }
  for (const char* option : {"ranges", "zero-points"}) {
    if (!ptq.rewrite.rounds_values && line.given(option)) {
      throw Error(fmt::format("--{} goes with --method ptq or qat: {} has no ranges of activations",
                              option, line.get<std::string>("method")));
    }
  }
  const bool sees_images = ptq.rewrite.rounds_values || ptq.rounding != WeightRounding::kNearest ||
                           ptq.bias_correction == BiasCorrection::kData;
  if (!sees_images && line.given("images")) {
    throw Error(
        "--images goes with --method ptq or qat, --rounding adaround or --bias-correction "
        "data: nothing else looks at images before the test");
  }
  return options;
}

Json options_json(const QuantizeOptions& options, const PostTraining& quantization) {
  const PostTrainingOptions& ptq = options.post_training;
  Json json = {{"weights", ptq.rewrite.per_channel ? "per channel" : "per tensor"},
               {"equalized_pairs", quantization.equalized_pairs()},
               {"rounding", to_string(ptq.rounding)},
               {"bias_correction", to_string(ptq.bias_correction)},
               {"keep_fp32", ptq.rewrite.fp32_ops},
               {"seed", options.seed}};
  if (ptq.rewrite.rounds_values) {
    json["images"] = quantization.calibration().images;
    json["ranges"] = quantization.calibration().rule;
    json["zero_points"] = to_string(ptq.rewrite.zero_points);
  }
  return json;
}

// Measures networks on the test images.
struct Measure {
  const Dataset& data;
  const Session& session;
  FloatInputs float_inputs;
  int64_t batch_size;

  MeasuredWeights operator()(Network& network) const {
    const Executor executor(network.graph, network.parameters);
    return {evaluate(executor, data, data.test, session.compute, options()),
            network.parameters.values().numel() * int64_t(sizeof(float))};
  }
  MeasuredWeights operator()(const QuantizedNetwork& network) const {
    const QuantizedExecutor executor(network, Products::kFast, float_inputs);
    return {evaluate([&](const torch::Tensor& images) { return executor.forward(images); },
                     network.quantized.graph, data, data.test, session.compute, options()),
            stored_bytes(network)};
  }
  EvaluationOptions options() const { return {.batch_size = batch_size, .of_all_classes = true}; }
};

// The sensitivity table: the ops that gain most, then accuracy with the first 1, 2, 4 and 8 in
// fp32.
void measure_sensitivity(const PostTraining& quantization, const QuantizeOptions& options,
                         const Measure& measure, QuantizationResult& result) {
  const CalibrationBatches batches =
      calibration_batches(measure.data, result.graph.graph, options.sensitivity_images,
                          options.batch_size, options.seed);
  result.sensitivities = sensitivities(quantization, batches);
  for (size_t count : {1, 2, 4, 8}) {
    if (count > result.sensitivities.size()) break;
    KeptInFp32 kept{.ops = {}, .measured = {}};
    for (size_t i = 0; i < count; ++i) kept.ops.push_back(result.sensitivities[i].op);
    kept.measured = measure(quantization.quantized({kept.ops.begin(), kept.ops.end()}));
    result.kept_in_fp32.push_back(std::move(kept));
  }
}

void write_all(const std::string& out, const Architecture& architecture,
               const QuantizedNetwork& network, const Json& report, const std::string& command) {
  save_quantized(out, architecture, network);
  write_file(out + "/report.json", json_text(report) + "\n");
  write_file(out + "/report.html", report_html({{"title", architecture.name + " in int8"},
                                                {"created", now_text()},
                                                {"command", command},
                                                {"quantization", report}}));
}

// A line where the folder is not what was measured.
std::string only_here(QuantizationMethod method) {
  if (method != QuantizationMethod::kDynamic) return "";
  return "inputs are rounded by the range of each batch in this command alone: with the folder, "
         "evaluate, bench and export do what --method weights does\n";
}

Session session_in_fp32(const CommandLine& line) {
  Session session = line.session(0, "fp32");
  if (!session.compute.device.is_cpu() || session.compute.precision != DataType::kFp32) {
    throw Error("quantize computes on the CPU, and in fp32 what is not int8");
  }
  return session;
}

// Throws Error where writing to `out` would replace the weights or files of a run, or cannot be.
void require_free(const std::string& out, const std::string& weights, QuantizationMethod method) {
  refuse_overwriting(out + "/model.safetensors", weights);
  require_possible_folder(out);
  if (method == QuantizationMethod::kQat || !holds_run(out)) return;  // check_qat_options() looked
  throw Error(out, 0, "holds a run, some of whose files this would replace; give another --out");
}

int quantize(const CommandLine& line, const std::string& command) {
  QuantizeOptions options = quantize_options(line);
  const std::string weights = line.required("weights"), out = line.required("out");
  const Session session = session_in_fp32(line);
  require_free(out, weights, options.method);
  const Architecture architecture = line.classifier(line.words()[0]);
  const bool trains = options.method == QuantizationMethod::kQat;
  const Dataset data = data_to_evaluate(weights, architecture, line, session, trains);
  const Graph graph = lower(architecture);
  require_inference_memory(graph, std::min<int64_t>(options.batch_size, data.test.size()), session);
  const Network network = load_network(weights, graph, torch::kCPU);

  if (line.has("float-head")) keep_head_in_fp32(graph, options.post_training.rewrite);
  const PostTraining quantization(
      network, calibration_batches(data, graph, options.images, options.batch_size, options.seed),
      options.post_training);
  QuantizedNetwork quantized = quantization.quantized();
  std::optional<QatResult> trained;
  if (trains) {
    trained = train_quantized(line,
                              {.architecture = architecture,
                               .weights = weights,
                               .quantization = quantization,
                               .quantized = quantized,
                               .rewrite = options.post_training.rewrite},
                              data, session);
    quantized = trained->network;
  }
  const bool is_dynamic = options.method == QuantizationMethod::kDynamic;
  const Measure measure{data, session,
                        is_dynamic ? FloatInputs::kRoundedByBatch : FloatInputs::kKept,
                        options.batch_size};
  QuantizationResult result{.network = architecture.name,
                            .method = std::string(to_string(options.method)),
                            .data = data.name,
                            .options = options_json(options, quantization),
                            .fp32 = measure(quantization.folded()),
                            .int8 = measure(quantized),
                            .range_trials = quantization.range_trials(),
                            .graph = quantized.quantized};
  require_finite(result.fp32.accuracy, weights);
  if (trained) result.options["qat"] = trained->json;
  if (options.sensitivity_images > 0 && !trains) {
    result.decibels = signal_to_noise(quantization.folded(), quantized,
                                      calibration_batches(data, graph, options.sensitivity_images,
                                                          options.batch_size, options.seed),
                                      measure.float_inputs);
    if (options.method == QuantizationMethod::kPtq) {
      measure_sensitivity(quantization, options, measure, result);
    }
  }
  say_damaged(data, session);
  const Json report = quantization_json(result);
  write_all(out, architecture, quantized, report, command);
  fmt::print("{}", line.has("json") ? json_text(report) + "\n"
                                    : quantization_text(result) + (trained ? trained->text : "") +
                                          only_here(options.method));
  return 0;
}

}  // namespace

int quantize_command(const Arguments& arguments) {
  CommandLine line = quantize_line();
  if (!line.parse(arguments)) return 0;
  return quantize(line, command_text("quantize", arguments));
}

}  // namespace ridgewalk
