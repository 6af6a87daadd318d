#include <algorithm>

#include <fmt/format.h>

#include <ATen/Parallel.h>

#include "experiments/commands/command_line.h"
#include "experiments/commands/memory_check.h"
#include "experiments/machine/measurement.h"
#include "experiments/report/report.h"
#include "experiments/report/search_report.h"
#include "experiments/run/counted.h"
#include "experiments/run/environment.h"
#include "experiments/run/fingerprint.h"
#include "experiments/run/group_run.h"
#include "experiments/run/interrupt.h"
#include "space/yaml.h"
#include "supernet/inference/peaks.h"
#include "supernet/network/libraries.h"

namespace ridgewalk {
namespace {

// What networks are computed by.
std::string processor_name(torch::Device device) {
  if (device.is_cpu()) return cpu_name();
  const std::string gpus = gpu_names();
  return (gpus.empty() ? device.str() : gpus) + " beside " + cpu_name();
}

SearchPlan plan_named(const std::string& word) {
  if (word != "all") return {.stages = {value_named<SearchStage>(word)}};
  return {.stages = {SearchStage::kCoarse, SearchStage::kFine, SearchStage::kHybrid},
          .trains_networks = true};
}

// What was asked for, checked as far as it can be without the data.
struct SearchRequest {
  SearchPlan plan;
  std::string out, from;
  SearchConfig config;
  bool resume = false;
  bool measures = false;
};

// `classes`: of the data, once they are read.
SearchRequest search_request(const CommandLine& line, std::optional<int> classes = {}) {
  SearchRequest request{.plan = plan_named(line.has("stage") ? line.words()[0] : "all"),
                        .out = line.required("out"),
                        .from = line.has("from") ? line.get<std::string>("from") : "",
                        .config = {},
                        .resume = line.has("resume"),
                        .measures = line.has("measure")};
  request.plan.recalibration.networks = line.find<int>("recalibrate").value_or(0);
  ConfigOverrides overrides;
  if (line.has("seed")) overrides.seed = line.seed();
  if (line.has("targets")) overrides.targets = line.get<std::string>("targets");
  if (line.has("quantized")) {
    overrides.quantized =
        option_named<Quantized>("--quantized", line.get<std::string>("quantized"));
  }
  if (line.has("method")) {
    overrides.method = option_named<SearchMethod>("--method", line.get<std::string>("method"));
  }
  if (line.has("judge")) {
    overrides.judge = option_named<Proxy>("--judge", line.get<std::string>("judge"));
  }
  overrides.resolution = line.find<int>("resolution");
  overrides.classes = line.has("classes") ? line.find<int>("classes") : classes;
  const std::string path = line.required("config");
  request.config = load_search_config(path, overrides);
  for (SearchStage stage : request.plan.stages) {
    if (!request.config.stages.contains(stage)) {
      throw Error(path, 0, "has no '" + std::string(to_string(stage)) + "' section");
    }
  }
  const SearchStage first = request.plan.stages.front();
  if (stage_before(first) && request.from.empty()) {
    throw Error("search " + std::string(to_string(first)) +
                " starts from an earlier stage; give --from FOLDER");
  }
  return request;
}

// How the plan times networks on this machine.
void add_measurements(SearchRequest& request, const Session& session) {
  SearchPlan& plan = request.plan;
  if (!request.measures && plan.recalibration.networks == 0) return;
  const std::string option = request.measures ? "--measure" : "--recalibrate";
  const Target* target = calibrated_target(request.config.reward.targets);
  if (target == nullptr) {
    throw Error(option +
                " holds measurements of single images against a target's measured laws; give a "
                "target without `batch` of a profile that `ridgewalk calibrate --out FILE` has "
                "made of this machine");
  }
  if (session.compute.group && session.compute.group->size() > 1) {
    throw Error(option + " measures in a process that has the machine to itself; start one");
  }
  measured_precision(*target->profile);
  const bool quiet = session.quiet;
  if (request.measures) {
    plan.measure = [quiet](const std::vector<Architecture>& networks, const Profile& profile) {
      return measured_json(measure_distinct(networks, profile, quiet));
    };
  }
  plan.recalibration.ratios = [quiet](const std::vector<Architecture>& networks,
                                      const Profile& profile) {
    std::vector<double> ratios;
    for (const MeasuredNetwork& network : measure_distinct(networks, profile, quiet).networks) {
      ratios.push_back(network.measured_ms() / network.predicted_ms);
    }
    return ratios;
  };
}

// The shared weights that the first stage starts from; empty for none.
std::string warm_weights(const SearchRequest& request) {
  const SearchStage first = request.plan.stages.front();
  const auto before = stage_before(first);
  const SearchStageConfig& stage = request.config.stages.at(first);
  if (!before || !stage.warm_start || stage.judge) return "";
  const std::string weights = supernet_file(request.from, *before);
  return path_exists(weights) ? weights : "";  // check_search() says what is missing
}

RunFolder open_run(const SearchRequest& request, const StartingPoint& start, const Dataset& data,
                   const Session& session) {
  const SearchConfig& config = request.config;
  std::string more = "stages:";
  for (SearchStage stage : request.plan.stages) more.append(" ").append(to_string(stage));
  const std::string weights = warm_weights(request), begun = start_fingerprint(config.weights);
  if (!begun.empty()) more += "\n" + begun.substr(0, begun.size() - 1);
  if (request.plan.recalibration.networks > 0) {
    more += fmt::format("\nrecalibrate: {}", request.plan.recalibration.networks);
  }
  if (!weights.empty()) more += fmt::format("\nfrom weights: {:016x}", weights_hash(weights));
  if (start.law_factor != 1) more += fmt::format("\nfrom laws times: {}", start.law_factor);
  if (start.architecture) more += "\nfrom:\n" + to_yaml(*start.architecture);
  const std::string inputs =
      fingerprint({.texts = {config.resolved, to_yaml(config.space)},
                   .reward = &config.reward,
                   .distillations = {&config.weights.distillation, &config.train.distillation},
                   .data = data,
                   .compute = session.compute,
                   .more = more});
  return open_run(request.out, request.resume, inputs, session.compute.group.get());
}

void print_stage(const StageOutcome& stage, const std::vector<Target>& targets) {
  fmt::print("{}: {} of {} architectures, ", to_string(stage.stage), stage.chosen,
             fmt::format("{:.3g}", stage.size));
  if (stage.judge) {
    fmt::print("{} {:.6g}", to_string(*stage.judge), *stage.best.proxy);
  } else {
    fmt::print("accuracy {:.2f} % with shared weights on search-validation",
               100 * stage.best.accuracy);
  }
  for (const TargetLatency& latency : stage.best.latency) {
    const auto target = std::find_if(targets.begin(), targets.end(),
                                     [&](const Target& one) { return one.name == latency.target; });
    fmt::print(", {:.3f} of {} {}", latency.of_target, target->is_limit ? "limit" : "target",
               latency.target);
    if (latency.amount) fmt::print(" ({})", amount_text(*latency.amount));
    if (!latency.latency_ms) continue;
    fmt::print(" ({})", milliseconds_text(*latency.latency_ms, latency.is_guess));
  }
  fmt::print("\n");
}

void print_measured(const Json& measured, const std::vector<Target>& targets) {
  if (measured.is_null()) return;
  const Target& target = *calibrated_target(targets);
  fmt::print("\nMeasured on this machine; asked: {:.4g} ms\n\n{}",
             1e3 * (target.latency[0] / target.models[0].peak).value,
             measured_table(measured_from_json(measured)));
  for (const Json& network : measured["networks"]) {
    if (network.value("within_limits", true)) continue;
    fmt::print("{}: {}\n", network["name"].get<std::string>(), excess_text(limits_in(network)));
  }
}

// How many of the random networks each found one beats, where there are several.
void print_places(const std::vector<NetworkRow>& rows) {
  std::vector<double> random;
  for (const NetworkRow& row : rows) {
    const auto top1 = test_top1(row.network);
    if (row.network.kind == NetworkKind::kRandom && top1) random.push_back(*top1);
  }
  if (random.size() < 2) return;
  for (const NetworkRow& row : rows) {
    const auto top1 = test_top1(row.network);
    if (row.network.kind != NetworkKind::kFound || !top1) continue;
    fmt::print("{}: better on the test images than {} of {} random networks\n",
               row.network.architecture.name,
               std::count_if(random.begin(), random.end(), [&](double one) { return one < *top1; }),
               random.size());
  }
  fmt::print("\n");
}

void print(const SearchSummary& summary, const SearchConfig& config) {
  for (const StageOutcome& stage : summary.outcome.stages) {
    print_stage(stage, config.reward.targets);
  }
  print_measured(summary.outcome.measured, config.reward.targets);
  if (summary.rows.empty()) return;
  fmt::print(
      "\nLatency at each ridge point (MACs/byte) relative to {}; accuracy with shared weights on "
      "search-validation,\ntest accuracy after {} epochs from scratch\n\n{}\n",
      summary.rows[summary.reference].network.architecture.name, config.train.epochs,
      network_table(summary.rows, config.report_ridge_points));
  print_places(summary.rows);
  for (const PhaseTiming& timing : summary.timing) {
    fmt::print("{:<20} {:>5.0f} s\n", timing.title, timing.seconds);
  }
  fmt::print("{:<20} {:>5.0f} MiB\n\n", "peak memory", summary.peak_memory_mib);
}

CommandLine search_command_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "search [coarse|fine|hybrid|single|all] --config FILE --out DIR",
      "Trains a supernet and searches it under a roofline cost. `all` (the default)\n"
      "searches coarse, fine and hybrid and compares what it found with other networks\n"
      "of the same latency, trained from scratch. `single` is coarse and fine in one.",
      "stage", 1);
  line.add()("config", po::value<std::string>(), "YAML of the experiment (experiments/configs)");
  line.add()("out", po::value<std::string>(), "the run's folder");
  line.add()("from", po::value<std::string>(), "folder of the run that fine or hybrid starts from");
  line.add()("resume", "continue the run in --out");
  line.add_seed("instead of the configuration's");
  line.add()("targets", po::value<std::string>(),
             "YAML, instead of the configuration's: {ridge_point: 0, relative_to: compact-nano}");
  line.add()("quantized", po::value<std::string>(),
             "sampled networks round to int8 where they are judged (judged), and where the shared "
             "weights are trained, too (trained); off: nowhere");
  line.add()("method", po::value<std::string>(),
             "of every stage: tunas; random or evolution, with shared weights or a --judge");
  line.add()("judge", po::value<std::string>(),
             "grad-norm, snip, synflow, naswot or zen judges in place of shared weights, and none "
             "are trained: with --method random or evolution");
  line.add()("measure", "time what was found, the reference and random networks on this machine");
  line.add_number<int>("recalibrate", kFewestRecalibrating, 1000,
                       "networks near the optimum that are timed in the middle of each stage; the\n"
                       "search goes on with the laws that they correct");
  line.add_number<int>("resolution", 1, kLargestResolution,
                       "of all networks, instead of the space's");
  line.add_number<int>("classes", 1, kMostClasses,
                       "of all networks (default: the configuration's, else the data's)");
  line.add_data_options(false);
  line.add_loader_options();
  line.add_group_options();
  line.add_lanes_options("samples of a step, batches of an evaluation and trainings");
  return line;
}

int search(const CommandLine& line, const Arguments& arguments) {
  SearchRequest request = search_request(line);
  const SearchConfig& config = request.config;
  Session session = line.session(config.threads, config.precision);
  session.checkpoint_every = config.checkpoint_every;
  const Dataset data = dataset_of(config, line, warm_weights(request));
  if (!config.classes_given && config.space.classes != data.classes) {
    request = search_request(line, data.classes);
  }
  add_measurements(request, session);
  const StartingPoint start = check_search(config, request.plan, request.from, data);
  const SearchStage first = request.plan.stages.front();
  if (!config.stages.at(first).judge) {
    require_supernet_memory(searched_space(config.space, first, start.architecture), config,
                            session);
  }

  RunFolder run = open_run(request, start, data, session);
  const std::string machine =
      fmt::format("{}, {}, {}, LibTorch {}", processor_name(session.compute.device),
                  counted(at::get_num_threads(), "thread"), to_string(session.compute.precision),
                  libtorch_version());
  write_file(run.file("config.yaml"),
             fmt::format("# ridgewalk {} on {}\n{}", RIDGEWALK_VERSION, machine, config.resolved));
  const SearchContext context{{run, data, session}, config};
  const SearchOutcome outcome = run_search(context, request.plan, start);
  if (session.compute.group && !session.compute.group->is_first()) return 0;

  const SearchSummary summary = summarize_search(context, outcome);
  const Json report = search_report(context, summary, command_text("search", arguments),
                                    machine + ", " + counted(session.compute.lanes, "job"));
  write_file(run.file("report.html"), report_html(report));
  print(summary, config);
  fmt::print("report: {}\n", run.file("report.html"));
  return 0;
}

}  // namespace

int search_command(const Arguments& arguments) {
  CommandLine line = search_command_line();
  return run_in_group(line, arguments, [&] { return search(line, arguments); });
}

}  // namespace ridgewalk
