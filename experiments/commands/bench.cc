#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "roofline/latency_model.h"
#include "space/error.h"
#include "space/lowering.h"
#include "supernet/formats/weights.h"
#include "supernet/inference/timing.h"

namespace ridgewalk {
namespace {

struct Measured {
  Architecture architecture;
  Graph graph;  // folded: what the steps' ops are indices of
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

// Of a step's ops together: a lower bound where one of them has no law.
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
  fmt::print("{:<32} {:<26} {:>12} {:>10}{} {:>7} {:>8}  {}\n", "op", "kind", "output", "us",
             has_laws ? "  predicted" : "", "share", "GMACs/s", "kernel");
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
    fmt::print("{:<32} {:<26} {:>12} {:>10.1f}{} {:>5.1f} % {:>8}  {}\n", step.name,
               kinds_text(measured.graph, step.ops), output, 1e6 * seconds,
               has_laws ? predicted_text(by_law) : "", 100 * seconds / total, rate, step.kernel);
  }
  fmt::print("{:<32} {:<26} {:>12} {:>10.1f}{}\n\n", "sum", "", "", 1e6 * total,
             has_laws ? predicted_text(predicted_total) : "");
}

Network loaded(const CommandLine& line, const Architecture& architecture) {
  const Graph graph = lower(architecture);
  if (line.has("weights")) {
    Network given = load_network(line.get<std::string>("weights"), graph, torch::kCPU);
    return fold_norms(given.graph, given.parameters);
  }
  return fresh_network(graph);
}

// The laws of a profile hold for what they were fitted to.
void refuse_other_conditions(const Profile& profile, const TimingOptions& options, int batch,
                             DataType precision) {
  if (profile.op_laws.empty()) {
    throw Error("--profile: '" + profile.name +
                "' has no laws of ops; `ridgewalk calibrate` makes one that has");
  }
  if (!options.per_step) throw Error("--profile predicts each step: give --ops too");
  if (batch != 1) throw Error("--profile is for one image; leave --batch out");
  if (profile.threads > 0 && profile.threads != options.threads) {
    throw Error(
        fmt::format("--profile is for that many threads: give --threads {}", profile.threads));
  }
  if (profile.data_type != precision) {
    throw Error(fmt::format("--profile is for {}, not {}: give --precision or calibrate with it",
                            to_string(profile.data_type), to_string(precision)));
  }
}

}  // namespace

int bench_command(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "bench ARCH... [--batch N] [--threads N] [--ops]",
      "Measured latency on this machine's CPU: norms folded, run by oneDNN with packed\n"
      "weights and fused activations. Prints the median of the repeats' medians and\n"
      "their interquartile range. The weights are freshly initialised: their values\n"
      "make no difference, unless --weights gives others (safetensors or ONNX).",
      "arch", -1);
  line.add()("batch", po::value<int>()->default_value(1), "images in a run");
  line.add()("repeats", po::value<int>()->default_value(9), "medians to take the median of");
  line.add()("seconds", po::value<double>()->default_value(0.2), "of runs in each repeat");
  line.add()("ops", "time of each step too: an op and what runs inside it");
  line.add()("profile", po::value<std::string>(),
             "of `calibrate`: with --ops, what its laws predict for each step");
  line.add()("weights", po::value<std::string>(), "of a single ARCH");
  line.add()("json", "for machines");
  line.add_input_options();
  line.add_session_options("1", "fp32");
  if (!line.parse(arguments)) return 0;
  const Session session = line.session(1, "fp32");
  if (!session.compute.device.is_cpu()) throw Error("--device: bench measures the CPU alone");
  const std::vector<std::string> names = line.words();
  if (line.has("weights") && names.size() > 1) throw Error("--weights is for a single network");
  const int batch = line.get<int>("batch");
  if (batch < 1 || batch > 65536) throw Error("--batch must be from 1 to 65536");
  const TimingOptions options{.threads = at::get_num_threads(),
                              .repeats = line.get<int>("repeats"),
                              .seconds = line.get<double>("seconds"),
                              .per_step = line.has("ops")};
  std::optional<Profile> profile;
  if (line.has("profile")) {
    profile = load_profile(line.get<std::string>("profile"));
    refuse_other_conditions(*profile, options, batch, session.compute.precision);
  }
  Json networks = Json::array();
  for (const std::string& name : names) {
    const Architecture architecture = line.architecture(name);
    const Network network = loaded(line, architecture);
    const Measured measured{
        architecture, network.graph, measure(network, batch, session.compute.precision, options),
        profile ? predict_ops(network.graph, *profile) : std::vector<OpLatency>()};
    networks.push_back(record(measured, batch, session.compute.precision));
    if (line.has("json")) continue;
    if (options.per_step) print_steps(measured, batch);
    const Timing& timing = measured.timing;
    fmt::print(
        "{} at {} pixels, batch {}, {}, {} thread{}: {:.3f} ms, spread {:.1f} %, fastest {:.3f} ms "
        "({} x {} runs)\n",
        architecture.name, architecture.resolution, batch, to_string(session.compute.precision),
        timing.threads, timing.threads == 1 ? "" : "s", 1e3 * timing.median_seconds,
        100 * timing.spread, 1e3 * timing.fastest_seconds, timing.repeats, timing.runs);
    std::fflush(stdout);
  }
  if (line.has("json")) fmt::print("{}\n", (networks.size() == 1 ? networks[0] : networks).dump(1));
  return 0;
}

}  // namespace ridgewalk
