#include <algorithm>

#include <fmt/format.h>

#include <torch/version.h>

#include "experiments/commands/command_line.h"
#include "experiments/report/network_report.h"
#include "experiments/report/report.h"
#include "experiments/run/fingerprint.h"
#include "experiments/run/interrupt.h"
#include "space/yaml.h"
#include "supernet/inference/peaks.h"

namespace ridgewalk {
namespace {

std::vector<SearchStage> parse_stages(const std::string& word) {
  if (word == "all") return {SearchStage::kCoarse, SearchStage::kFine, SearchStage::kHybrid};
  return {stage_named(word)};
}

void print_outcome(const RunFolder& run, const SearchConfig& config, const SearchOutcome& outcome,
                   const Json& report) {
  for (SearchStage stage : outcome.stages) {
    const Json& result = *run.result(std::string(to_string(stage)));
    const Json& best = result["best"];
    fmt::print(
        "{}: {} of {} architectures, accuracy {:.2f} % with shared weights on search-validation",
        to_string(stage), result["chosen"].get<std::string>(),
        fmt::format("{:.3g}", result["size"].get<double>()), 100 * best["accuracy"].get<double>());
    for (const Json& latency : best["latency"]) {
      fmt::print(", {:.3f} of target {}", latency["of_target"].get<double>(),
                 latency["target"].get<std::string>());
    }
    fmt::print("\n");
  }
  if (outcome.contenders.empty()) return;
  fmt::print(
      "\nLatency at each ridge point (MACs/byte) relative to {}; accuracy with shared weights on "
      "search-validation,\ntest accuracy after {} epochs from scratch\n\n{}\n",
      report["reference"].get<std::string>(), config.train.epochs,
      comparison_table(report["networks"], config.report_ridge_points));
  for (const Json& phase : report["timing"]) {
    fmt::print("{:<20} {:>5.0f} s\n", phase["phase"].get<std::string>(),
               phase["seconds"].get<double>());
  }
  fmt::print("{:<20} {:>5.0f} MiB\n\n", "peak memory", report["peak_memory_mib"].get<double>());
}

}  // namespace

int search_command(const Arguments& arguments) {
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
  line.add()("resume", "go on with the run in --out");
  line.add_seed("instead of the configuration's");
  line.add()("targets", po::value<std::string>(),
             "YAML, instead of the configuration's: {ridge_point: 0, relative_to: compact-nano}");
  line.add_data_options(false);
  line.add_loader_options();
  line.add_session_options();
  if (!line.parse(arguments)) return 0;
  catch_interrupts();

  const std::vector<SearchStage> stages = parse_stages(line.has("stage") ? line.words()[0] : "all");
  ConfigOverrides overrides;
  if (line.has("seed")) overrides.seed = line.seed();
  if (line.has("targets")) overrides.targets = line.get<std::string>("targets");
  const std::string out = line.required("out");
  const std::string config_path = line.required("config");
  const SearchConfig config = load_search_config(config_path, overrides);
  for (SearchStage stage : stages) {
    if (!config.stages.contains(stage)) {
      throw Error(config_path, 0, "has no '" + std::string(to_string(stage)) + "' section");
    }
  }
  const std::string from = line.has("from") ? line.get<std::string>("from") : "";
  if (stage_before(stages.front()) && from.empty()) {
    throw Error("search " + std::string(to_string(stages.front())) +
                " starts from an earlier stage; give --from FOLDER");
  }
  Session session = line.session(config.threads, config.precision);
  session.checkpoint_every = config.checkpoint_every;
  const Dataset data = dataset_of(config, line);
  const StartingPoint start = check_search(config, stages, from, data);

  const std::string machine =
      fmt::format("{}, {} threads, {}, LibTorch {}", cpu_name(), at::get_num_threads(),
                  to_string(session.machine.precision), TORCH_VERSION);
  std::string fingerprint =
      fmt::format("{}\n{}\n{}{}{}{} stages", config.resolved, to_yaml(config.space),
                  fingerprint_of(config.reward), fingerprint_of(config.weights.distillation, data),
                  fingerprint_of(config.train.distillation, data), fingerprint_of(session.machine));
  for (SearchStage stage : stages) fingerprint.append(" ").append(to_string(stage));
  if (start.architecture) fingerprint += "\nfrom\n" + to_yaml(*start.architecture);
  RunFolder run = line.has("resume") ? RunFolder::resume(out, fingerprint)
                                     : RunFolder::create(out, fingerprint);
  write_file(run.file("config.yaml"),
             fmt::format("# ridgewalk {} on {}\n{}", RIDGEWALK_VERSION, machine, config.resolved));
  const SearchOutcome outcome = run_search(run, config, stages, start, data, session);
  const Json report =
      search_report(run, config, outcome, command_text("search", arguments), machine);
  write_file(run.file("report.html"), report_html(report));
  print_outcome(run, config, outcome, report);
  fmt::print("report: {}\n", run.file("report.html"));
  return 0;
}

}  // namespace ridgewalk
