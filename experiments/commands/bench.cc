#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/commands/compiled_accuracy.h"
#include "experiments/commands/memory_check.h"
#include "experiments/commands/zoo.h"
#include "experiments/machine/field_kit.h"
#include "experiments/machine/resources.h"
#include "experiments/run/counted.h"
#include "roofline/latency_model.h"
#include "space/error.h"
#include "space/lowering.h"
#include "supernet/formats/weights.h"
#include "supernet/inference/timing.h"
#include "supernet/quantization/quantized_files.h"
#include "supernet/quantization/random_ranges.h"
#include "supernet/quantization/rewrite.h"

namespace ridgewalk {
namespace {

struct Measured {
  Architecture architecture;
  Graph graph;  // folded: the steps' ops are indices in it
  Timing timing;
  std::vector<OpLatency> predicted;  // of each op, where a profile has laws
};

// "conv + activation + add"
std::string kinds_text(const Graph& graph, const std::vector<int>& ops) {
  std::string text;
  for (int op : ops) {
    text += (text.empty() ? "" : " + ") + std::string(to_string(graph.ops[size_t(op)].kind));
  }
  return text;
}

double macs_of(const std::vector<OpCost>& costs, const std::vector<int>& ops) {
  double macs = 0;
  for (int op : ops) macs += costs[size_t(op)].macs.value;
  return macs;
}

// The ops of a step together: a lower bound where one of them has no law.
OpLatency predicted(const Measured& measured, const std::vector<int>& ops) {
  OpLatency sum;
  for (int op : ops.empty() ? std::vector{0} : ops) {  // no ops: the image
    const OpLatency& one = measured.predicted[size_t(op)];
    sum.seconds += one.seconds;
    sum.is_lower_bound |= one.is_lower_bound;
  }
  return sum;
}

std::string predicted_text(const OpLatency& latency) {
  return fmt::format(" {:>10}", fmt::format("{}{:.1f}", latency.is_lower_bound ? ">= " : "",
                                            1e6 * latency.seconds.value));
}

Json record(const Measured& measured, int batch, DataType precision) {
  const Timing& timing = measured.timing;
  Json result = {{"name", measured.architecture.name},
                 {"resolution", measured.architecture.resolution},
                 {"batch", batch},
                 {"threads", timing.threads},
                 {"precision", to_string(precision)},
                 {"latency_ms", 1e3 * timing.median_seconds},
                 {"spread", timing.spread},
                 {"fastest_ms", 1e3 * timing.fastest_seconds},
                 {"repeats", timing.repeats},
                 {"runs", timing.runs}};
  if (timing.steps.empty()) return result;
  const std::vector<OpCost> costs = op_costs(measured.graph);
  result["ops"] = Json::array();
  for (const StepTiming& entry : timing.steps) {
    const std::vector<int>& ops = entry.step.ops;
    Json names = Json::array();
    for (int op : ops) names.push_back(measured.graph.ops[size_t(op)].name);
    result["ops"].push_back({{"name", entry.step.name},
                             {"kind", kinds_text(measured.graph, ops)},
                             {"ops", names},
                             {"kernel", entry.step.kernel},
                             {"type", to_string(entry.step.type)},
                             {"macs", static_cast<int64_t>(batch * macs_of(costs, ops))},
                             {"latency_ms", 1e3 * entry.seconds}});
    if (measured.predicted.empty()) continue;
    const OpLatency latency = predicted(measured, ops);
    result["ops"].back()["predicted_ms"] = 1e3 * latency.seconds.value;
    if (latency.is_lower_bound) result["ops"].back()["predicted_is_lower_bound"] = true;
  }
  return result;
}

void print_steps(const Measured& measured, int batch) {
  const std::vector<OpCost> costs = op_costs(measured.graph);
  double total = 0;
  OpLatency predicted_total;
  for (const StepTiming& entry : measured.timing.steps) total += entry.seconds;
  const bool has_laws = !measured.predicted.empty();
  fmt::print("{:<32} {:<26} {:<4} {:>12} {:>10}{} {:>7} {:>8}  {}\n", "op", "kind", "type",
             "output", "us", has_laws ? "  predicted" : "", "share", "GMACs/s", "kernel");
  for (const auto& [step, seconds] : measured.timing.steps) {
    std::string output, rate;
    if (!step.ops.empty()) {
      const Shape& shape = measured.graph.ops[size_t(step.ops.back())].output;
      output = fmt::format("{}x{}x{}", shape.channels, shape.height, shape.width);
      const double macs = batch * macs_of(costs, step.ops);
      if (macs > 0) rate = fmt::format("{:.1f}", macs / seconds / 1e9);
    }
    const OpLatency by_law = has_laws ? predicted(measured, step.ops) : OpLatency{};
    predicted_total.seconds += by_law.seconds;
    predicted_total.is_lower_bound |= by_law.is_lower_bound;
    fmt::print("{:<32} {:<26} {:<4} {:>12} {:>10.1f}{} {:>5.1f} % {:>8}  {}\n", step.name,
               kinds_text(measured.graph, step.ops), to_string(step.type), output, 1e6 * seconds,
               has_laws ? predicted_text(by_law) : "", 100 * seconds / total, rate, step.kernel);
  }
  fmt::print("{:<32} {:<26} {:<4} {:>12} {:>10.1f}{}\n\n", "sum", "", "", "", 1e6 * total,
             has_laws ? predicted_text(predicted_total) : "");
}

CommandLine bench_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "bench ARCH... [--batch N] [--threads N] [--ops] [--zoo] [--script DIR]",
      "Measured latency on this machine's CPU: norms folded, run by oneDNN with packed\n"
      "weights and fused activations. Prints the median of the repeats' medians and\n"
      "their interquartile range. The weights are freshly initialised, for their values\n"
      "make no difference; --weights gives others (safetensors, ONNX, or what `quantize`\n"
      "wrote). In int8, weights that are not quantised yet are, with the ranges of a few\n"
      "random images. With --script it measures nothing, but writes what another device is\n"
      "measured with.",
      "arch", -1);
  line.allow_int8();
  line.add_number<int>("batch", 1, kLargestBatch, "images in a run", 1);
  line.add_number<int>("repeats", 1, 10000, "medians to take the median of", 9);
  line.add_number<double>("seconds", 0, 3600, "of runs in each repeat", 0.2);
  line.add()("ops", "also the time of each step: an op and what runs inside it");
  line.add()("profile", po::value<std::string>(),
             "of `calibrate`: with --ops, what its laws predict for each step");
  line.add()("weights", po::value<std::string>(), "of a single ARCH");
  line.add()("float-head", "in int8: what follows the last stage stays fp32");
  line.add()("script", po::value<std::string>(),
             "write into this folder an ONNX file per ARCH (without any, of ten that tell devices "
             "apart), a form for their latencies, and a script that fills it in on a device");
  line.add()(
      "zoo",
      "a table in Markdown of fp32 and int8: size, parameters, latency and frames per second of "
      "1, 2, 4 and 8 threads with frames of their own, as far as there are cores");
  line.add()("int8-weights", po::value<std::string>(),
             "with --zoo, of a single ARCH: what `quantize` wrote; --weights is then of fp32");
  line.add()("data", po::value<std::string>(),
             "with --zoo and both weights: also their top-1 on its test images");
  line.add()("json", "for machines");
  line.add_data_options();
  line.add_input_options();
  line.add_session_options("1", "fp32");
  return line;
}

struct BenchOptions {
  std::vector<std::string> names;
  std::optional<std::string> weights;
  int batch = 1;
  DataType precision = DataType::kFp32;
  TimingOptions timing;
  std::optional<Profile> profile;  // with laws of ops
  bool float_head = false;         // beside int8 stages
  bool json = false;
};

// The laws of a profile hold for what they were fitted to.
void refuse_other_conditions(const Profile& profile, const BenchOptions& options) {
  if (profile.op_laws.empty()) {
    throw Error("--profile: '" + profile.name +
                "' has no laws of ops; `ridgewalk calibrate` makes one that has");
  }
  if (!options.timing.per_step) throw Error("--profile predicts each step: give --ops too");
  if (profile.threads > 0 && profile.threads != options.timing.threads) {
    throw Error(fmt::format("--profile is for {} threads: give --threads {}", profile.threads,
                            profile.threads));
  }
  if (to_string(profile.data_type) != to_string(options.precision)) {
    throw Error(fmt::format("--profile is for {}, not {}: give --precision or calibrate with it",
                            to_string(profile.data_type), to_string(options.precision)));
  }
}

BenchOptions bench_options(const CommandLine& line) {
  const Session session = line.session(1, "fp32");
  if (!session.compute.device.is_cpu()) throw Error("--device: bench measures only the CPU");
  BenchOptions options{.names = line.words(),
                       .weights = line.find<std::string>("weights"),
                       .batch = line.get<int>("batch"),
                       .precision = session.compute.precision,
                       .timing = {.threads = at::get_num_threads(),
                                  .repeats = line.get<int>("repeats"),
                                  .seconds = line.get<double>("seconds"),
                                  .per_step = line.has("ops")},
                       .profile = {},
                       .float_head = line.has("float-head"),
                       .json = line.has("json")};
  if (options.weights && options.names.size() > 1) {
    throw Error("--weights is for a single network");
  }
  if (options.float_head && options.precision != DataType::kInt8) {
    throw Error("--float-head goes with --precision int8");
  }
  if (options.float_head && line.has("profile")) {
    throw Error("--float-head: laws are of one data type; leave --profile out");
  }
  if (line.has("profile")) {
    options.profile = load_profile(line.get<std::string>("profile"));
    refuse_other_conditions(*options.profile, options);
  }
  return options;
}

// The network with its norms folded.
Network network_of(const Architecture& architecture, const BenchOptions& options) {
  const Graph graph = lower(architecture);
  if (!options.weights) return fresh_network(graph);
  const Network given = load_network(*options.weights, graph, torch::kCPU);
  return fold_norms(given.graph, given.parameters);
}

QuantizedNetwork quantized_in(const std::string& folder, const Architecture& architecture) {
  require_quantized(folder, architecture);
  return load_quantized(folder);
}

QuantizedNetwork quantized_network_of(const Architecture& architecture,
                                      const BenchOptions& options) {
  if (options.weights && is_quantized(*options.weights)) {
    if (options.float_head) {
      throw Error("--float-head: " + *options.weights +
                  " is quantised already; `quantize --float-head` keeps its head in fp32");
    }
    return quantized_in(*options.weights, architecture);
  }
  Network network = network_of(architecture, options);
  RewriteOptions rewrite;
  if (options.float_head) keep_head_in_fp32(lower(architecture), rewrite);
  return quantized_for_timing(network, std::move(rewrite));
}

Measured measured(const Architecture& architecture, const BenchOptions& options) {
  const bool is_int8 = options.precision == DataType::kInt8;
  if (!is_int8 && options.weights && is_quantized(*options.weights)) {
    throw Error(*options.weights + " is quantised: give --precision int8");
  }
  require_memory(fmt::format("'{}' on {}", architecture.name, counted(options.batch, "image")),
                 compiled_memory(lower(architecture), options.batch, options.precision),
                 "take a smaller --batch or --resolution");
  Measured result{architecture, {}, {}, {}};
  if (is_int8) {
    const QuantizedNetwork network = quantized_network_of(architecture, options);
    Inference inference(network, options.batch);
    result.graph = network.quantized.graph;
    result.timing = measure(inference, options.timing);
  } else {
    const Network network = network_of(architecture, options);
    result.graph = network.graph;
    result.timing = measure(network, options.batch, options.precision, options.timing);
  }
  if (options.profile)
    result.predicted = predict_ops(result.graph, *options.profile, options.batch);
  return result;
}

void print(const Measured& measured, const BenchOptions& options) {
  if (options.timing.per_step) print_steps(measured, options.batch);
  const Timing& timing = measured.timing;
  fmt::print(
      "{} at {} pixels, batch {}, {}, {}: {:.3f} ms, spread {:.1f} %, fastest {:.3f} ms "
      "({} x {} runs)\n",
      measured.architecture.name, measured.architecture.resolution, options.batch,
      to_string(options.precision), counted(timing.threads, "thread"), 1e3 * timing.median_seconds,
      100 * timing.spread, 1e3 * timing.fastest_seconds, timing.repeats, timing.runs);
  std::fflush(stdout);  // the next one takes a while
}

// For a device that is not this machine.
int write_script(const CommandLine& line) {
  for (const char* option : {"repeats", "seconds", "ops", "zoo", "profile", "weights", "float-head",
                             "int8-weights", "data", "json", "threads", "device", "precision"}) {
    if (line.given(option)) {
      throw Error(fmt::format("--script measures nothing on this machine: leave --{} out", option));
    }
  }
  const std::string folder = line.get<std::string>("script");
  std::vector<Architecture> networks;
  for (const std::string& name : line.has("arch") ? line.words() : networks_to_measure()) {
    networks.push_back(line.architecture(name));
  }
  write_field_kit(folder, networks, line.get<int>("batch"));
  if (line.has("quiet")) return 0;
  fmt::print(
      "{0}: {1} as ONNX, the form measured.csv, and measure.sh, which fills it in on a\n"
      "device with a shell; `sh {0}/measure.sh` says how. Then, in the data type that was "
      "measured:\n"
      "ridgewalk fit {0}/measured.csv --dtype fp32 --out device.yaml\n",
      folder, counted(int64_t(networks.size()), "network"));
  return 0;
}

// Top-1 of both on the test images of --data, run as they are timed.
void add_accuracies(const CommandLine& line, const std::string& fp32_weights,
                    const std::string& int8_weights, ZooNetwork& network) {
  constexpr int kImages = 100;  // at a time
  Session session = line.session(1, "fp32");
  session.compute.lanes = usable_cores();
  require_inference_memory(lower(network.architecture), kImages, session);
  const auto top1 = [&](const std::string& weights, const auto& compiled) {
    const Dataset data = data_to_evaluate(weights, network.architecture, line, session);
    const auto compile = [&](int batch) { return std::make_unique<Inference>(compiled, batch); };
    const Accuracy accuracy =
        compiled_accuracy(compile, network.fp32.graph, data, session.compute, kImages);
    say_damaged(data, session);
    require_finite(accuracy, weights);
    return accuracy.top1;
  };
  network.fp32_top1 = top1(fp32_weights, network.fp32);
  network.int8_top1 = top1(int8_weights, network.int8);
}

int zoo_command(const CommandLine& line) {
  for (const char* option :
       {"batch", "repeats", "ops", "profile", "threads", "precision", "float-head"}) {
    if (line.given(option)) {
      throw Error(fmt::format("--zoo measures fp32 and int8, one image: leave --{} out", option));
    }
  }
  const BenchOptions options = bench_options(line);
  if (options.weights && is_quantized(*options.weights)) {
    throw Error(*options.weights + " is quantised: give it as --int8-weights");
  }
  const auto int8_weights = line.find<std::string>("int8-weights");
  if (int8_weights && options.names.size() > 1) {
    throw Error("--int8-weights is for a single network");
  }
  const bool has_data = line.has("data");
  if (has_data && !(options.weights && int8_weights)) {
    throw Error("--data needs --weights and --int8-weights, what `quantize` wrote of them");
  }
  Json records = Json::array();
  for (const std::string& name : options.names) {
    const Architecture architecture = has_data ? line.classifier(name) : line.architecture(name);
    Network fp32 = network_of(architecture, options);
    QuantizedNetwork int8 =
        int8_weights ? quantized_in(*int8_weights, architecture) : quantized_for_timing(fp32);
    ZooNetwork network{architecture, std::move(fp32), std::move(int8)};
    if (has_data) add_accuracies(line, *options.weights, *int8_weights, network);
    add_zoo_records(network, options.timing.seconds, records);
  }
  fmt::print("{}\n", options.json ? records.dump(1) : zoo_table(records));
  return 0;
}

}  // namespace

int bench_command(const Arguments& arguments) {
  CommandLine line = bench_line();
  if (!line.parse(arguments)) return 0;
  if (line.has("script")) return write_script(line);
  if (line.has("zoo")) return zoo_command(line);
  for (const char* option : {"int8-weights", "data", "strict", "crop-fraction"}) {
    if (line.given(option)) throw Error(fmt::format("--{} goes with --zoo", option));
  }
  const BenchOptions options = bench_options(line);
  Json networks = Json::array();
  for (const std::string& name : options.names) {
    const Measured network = measured(line.architecture(name), options);
    networks.push_back(record(network, options.batch, options.precision));
    if (!options.json) print(network, options);
  }
  if (options.json) fmt::print("{}\n", (networks.size() == 1 ? networks[0] : networks).dump(1));
  return 0;
}

}  // namespace ridgewalk
