#include "experiments/report/network_report.h"

#include <fstream>
#include <map>

#include <fmt/format.h>

#include "experiments/report/report.h"
#include "experiments/report/sweep.h"
#include "roofline/latency.h"

#ifndef RIDGEWALK_VERSION
#error "the build defines RIDGEWALK_VERSION"
#endif

namespace ridgewalk {
namespace {

struct BlockText {
  std::string operator()(const Conv& b) const {
    return fmt::format("Conv {0}x{0} w{1}", b.kernel, b.width);
  }
  std::string operator()(const FusedIb& b) const {
    return fmt::format("FusedIB {0}x{0} e{1} w{2}", b.kernel, b.expanded, b.width);
  }
  std::string operator()(const Uib& b) const {
    return fmt::format("{} {}/{} e{} w{}", instantiation(b), b.kernel1, b.kernel2, b.expanded,
                       b.width);
  }
  std::string operator()(const MobileMqa& b) const {
    return fmt::format("MQA {}x{}x{}/{}", b.heads, b.key_dim, b.value_dim, b.kv_stride);
  }
  std::string operator()(const DepthwiseSeparable& b) const {
    return fmt::format("DwSep {0}x{0} w{1}", b.kernel, b.width);
  }
  std::string operator()(const InvertedResidual& b) const {
    return fmt::format("IR {0}x{0} e{1} w{2}", b.kernel, b.expanded, b.width);
  }
  std::string operator()(const SqueezeExcite& b) const { return fmt::format("SE x{}", b.ratio); }
};

Json blocks_json(const Architecture& architecture) {
  Json stages = Json::array();
  stages.push_back({std::visit(BlockText{}, Block(architecture.stem))});
  for (const auto& stage : architecture.stages) {
    Json blocks = Json::array();
    for (const Block& block : stage) blocks.push_back(std::visit(BlockText{}, block));
    stages.push_back(blocks);
  }
  Json head = Json::array();
  for (int width : {architecture.head.width, architecture.head.features}) {
    if (width > 0) head.push_back(fmt::format("Conv 1x1 w{}", width));
  }
  if (!head.empty()) stages.push_back(head);
  return stages;
}

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

Json percent_or_dash(const Json& accuracy) {
  return accuracy.is_object() ? accuracy["top1"] : Json();
}

}  // namespace

Json networks_json(const std::vector<Contender>& contenders,
                   const std::vector<MacsPerByte>& ridge_points, size_t reference, DataType type) {
  std::vector<Graph> graphs;
  for (const Contender& contender : contenders) graphs.push_back(lower(contender.architecture));
  Json list = Json::array();
  for (size_t i = 0; i < contenders.size(); ++i) {
    const Contender& contender = contenders[i];
    const NetworkCost cost = network_cost(graphs[i]);
    Json relative = Json::array();
    for (MacsPerByte ridge_point : ridge_points) {
      relative.push_back(latency(graphs[i], ridge_point, type) /
                         latency(graphs[reference], ridge_point, type));
    }
    const std::string name =
        contender.kind == "reference" ? contender.architecture.name : contender.name;
    list.push_back({{"name", name},
                    {"kind", contender.kind},
                    {"parameters", cost.parameters},
                    {"macs", cost.macs.value},
                    {"relative_latency", relative},
                    {"shared_accuracy", percent_or_dash(contender.shared)},
                    {"shared_split", "search-validation"},
                    {"test_accuracy",
                     contender.trained.is_object() ? contender.trained["test"]["top1"] : Json()},
                    {"blocks", blocks_json(contender.architecture)}});
  }
  return list;
}

Json network_report(const std::string& title, const std::string& command,
                    const std::vector<RatedNetwork>& networks,
                    const std::vector<Contender>& contenders,
                    const std::vector<MacsPerByte>& shown) {
  Json report = {{"title", title},
                 {"created", now_text()},
                 {"version", RIDGEWALK_VERSION},
                 {"command", command},
                 {"reference", contenders[0].name},
                 {"ridge_points", Json::array()},
                 {"networks", networks_json(contenders, shown, 0)},
                 {"sweep", sweep_json(networks, ridge_points(0, 500), DataType::kInt8)},
                 {"marks", profile_marks()}};
  for (MacsPerByte point : shown) report["ridge_points"].push_back(point.value);
  return report;
}

Json search_report(const RunFolder& run, const SearchConfig& config, const SearchOutcome& outcome,
                   const std::string& command, const std::string& machine) {
  Json report = {{"title", "Search in " + config.space.name},
                 {"created", now_text()},
                 {"version", RIDGEWALK_VERSION},
                 {"command", command},
                 {"machine", machine},
                 {"space", {{"name", config.space.name}, {"size", size(config.space)}}},
                 {"targets", targets_json(config.reward)},
                 {"ridge_points", Json::array()},
                 {"stages", Json::array()},
                 {"timing", Json::array()},
                 {"marks", profile_marks()},
                 {"peak_memory_mib", peak_memory_mib()}};
  for (MacsPerByte point : config.report_ridge_points)
    report["ridge_points"].push_back(point.value);
  for (SearchStage stage : outcome.stages) {
    const std::string phase(to_string(stage));
    const Json& result = *run.result(phase);
    Json entry = curves(run, phase, config.reward.targets.size());
    entry["choices"] = result["choices"];
    entry["result"] = result["chosen"];
    entry["argmax"] = result["argmax"];
    entry["best"] = result["best"];
    report["stages"].push_back(entry);
    report["timing"].push_back({{"phase", phase + " search"},
                                {"seconds", run.seconds(phase)},
                                {"images_per_second", run.rates(phase)}});
  }
  std::vector<RatedNetwork> networks;
  size_t reference = 0;
  for (size_t i = 0; i < outcome.contenders.size(); ++i) {
    const Contender& contender = outcome.contenders[i];
    if (contender.kind == "reference") reference = i;
    networks.push_back({contender.architecture, trained_accuracy(contender.trained)});
    const std::string phase = "train " + contender.name;
    report["timing"].push_back({{"phase", phase},
                                {"seconds", run.seconds(phase)},
                                {"images_per_second", run.rates(phase)}});
  }
  if (!outcome.contenders.empty()) {
    report["reference"] = networks[reference].architecture.name;
    report["networks"] = networks_json(outcome.contenders, config.report_ridge_points, reference);
    report["sweep"] = sweep_json(networks, ridge_points(0, 500), DataType::kInt8);
  }
  return report;
}

std::string comparison_table(const Json& networks, const std::vector<MacsPerByte>& ridge_points) {
  std::string text = fmt::format("{:<22} {:>10} {:>11}", "network", "parameters", "MACs");
  for (MacsPerByte point : ridge_points)
    text += fmt::format(" {:>7}", fmt::format("@{:g}", point.value));
  text += fmt::format(" {:>8} {:>8}\n", "shared", "test");
  const auto percent = [](const Json& accuracy) {
    return accuracy.is_number() ? fmt::format("{:.2f} %", 100 * accuracy.get<double>()) : "-";
  };
  for (const Json& network : networks) {
    text += fmt::format("{:<22} {:>10} {:>11.0f}", network["name"].get<std::string>(),
                        network["parameters"].get<int64_t>(), network["macs"].get<double>());
    for (const Json& relative : network["relative_latency"]) {
      text += fmt::format(" {:>7.3f}", relative.get<double>());
    }
    text += fmt::format(" {:>8} {:>8}\n", percent(network["shared_accuracy"]),
                        percent(network["test_accuracy"]));
  }
  return text;
}

}  // namespace ridgewalk
