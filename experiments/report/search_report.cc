#include "experiments/report/search_report.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>

#include "experiments/report/network_report.h"
#include "experiments/report/report.h"
#include "experiments/report/sweep.h"
#include "roofline/latency.h"

namespace ridgewalk {
namespace {

// The curves of a stage from the run's log.
Json curves(const RunFolder& run, const std::string& phase, size_t targets) {
  Json result = {{"name", phase},
                 {"steps", Json::array()},
                 {"loss", Json::array()},
                 {"reward", Json::array()},
                 {"accuracy", Json::array()},
                 {"baseline", Json::array()},
                 {"latency_ratio", Json::array()}};
  for (size_t t = 0; t < targets; ++t) result["latency_ratio"].push_back(Json::array());
  std::ifstream log(run.file("log.jsonl"));
  for (std::string line; std::getline(log, line);) {
    const Json record = Json::parse(line, nullptr, false);
    if (!record.is_object() || record.value("phase", "") != phase) continue;
    result["steps"].push_back(record["step"]);
    for (const char* name : {"loss", "reward", "accuracy", "baseline"}) {
      result[name].push_back(record[name]);
    }
    for (size_t t = 0; t < targets; ++t) {
      const Json& ratios = record["latency_of_target"];
      result["latency_ratio"][t].push_back(t < ratios.size() ? ratios[t] : Json());
    }
  }
  return result;
}

// Largest resident memory of this process so far.
double peak_memory_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_maxrss) / 1024;
}

PhaseTiming timing_of(const RunFolder& run, const std::string& title, const std::string& phase) {
  return {.title = title, .seconds = run.seconds(phase), .rates = run.rates(phase)};
}

size_t reference_of(const std::vector<NetworkRecord>& networks) {
  const auto reference = std::find_if(
      networks.begin(), networks.end(),
      [](const NetworkRecord& network) { return network.kind == NetworkKind::kReference; });
  return reference == networks.end() ? 0 : size_t(reference - networks.begin());
}

}  // namespace

SearchSummary summarize_search(const SearchContext& context, const SearchOutcome& outcome) {
  SearchSummary summary{.outcome = outcome, .peak_memory_mib = peak_memory_mib()};
  for (const StageOutcome& stage : outcome.stages) {
    const std::string phase(to_string(stage.stage));
    summary.timing.push_back(timing_of(context.run, phase + " search", phase));
  }
  for (const NetworkRecord& network : outcome.networks) {
    const std::string phase = "train " + file_name(network);
    summary.timing.push_back(timing_of(context.run, phase, phase));
  }
  summary.reference = reference_of(outcome.networks);
  summary.rows =
      network_rows(outcome.networks, context.config.report_ridge_points, summary.reference);
  return summary;
}

Json search_report(const SearchContext& context, const SearchSummary& summary,
                   const std::string& command, const std::string& machine) {
  const SearchConfig& config = context.config;
  Json report = {{"title", "Search in " + config.space.name},
                 {"created", now_text()},
                 {"version", RIDGEWALK_VERSION},
                 {"command", command},
                 {"machine", machine},
                 {"space", {{"name", config.space.name}, {"size", size(config.space)}}},
                 {"targets", target_summaries(config.reward)},
                 {"ridge_points", values_json(config.report_ridge_points)},
                 {"stages", Json::array()},
                 {"timing", Json::array()},
                 {"marks", profile_marks()},
                 {"peak_memory_mib", summary.peak_memory_mib}};
  for (const StageOutcome& stage : summary.outcome.stages) {
    Json entry =
        curves(context.run, std::string(to_string(stage.stage)), config.reward.targets.size());
    entry["choices"] = stage.choices;
    entry["result"] = stage.chosen;
    entry["argmax"] = stage.argmax;
    entry["best"] = stage.best;
    report["stages"].push_back(entry);
  }
  for (const PhaseTiming& timing : summary.timing) {
    report["timing"].push_back({{"phase", timing.title},
                                {"seconds", timing.seconds},
                                {"images_per_second", value_or_null(timing.rates)}});
  }
  if (!summary.outcome.measured.is_null()) report["measured"] = summary.outcome.measured;
  const std::vector<NetworkRecord>& networks = summary.outcome.networks;
  if (!networks.empty()) {
    report["reference"] = networks[summary.reference].architecture.name;
    report["networks"] = networks_json(summary.rows);
    report["sweep"] = sweep_json(networks, ridge_points(0, 500), {});
  }
  return report;
}

}  // namespace ridgewalk
