#include <map>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/report/network_report.h"
#include "experiments/report/report.h"
#include "experiments/run/fingerprint.h"
#include "experiments/run/interrupt.h"
#include "experiments/run/search_run.h"
#include "roofline/latency.h"
#include "search/front.h"
#include "space/catalog.h"
#include "space/error.h"
#include "space/file.h"
#include "supernet/formats/weights.h"

namespace ridgewalk {
namespace {

// To take as long as `reference` at each of `points`.
Target target_of(const std::string& name, const Graph& reference, std::vector<MacsPerByte> points) {
  Target target{.name = name, .ridge_points = std::move(points), .latency = {}};
  for (MacsPerByte point : target.ridge_points) {
    target.latency.push_back(latency(reference, point));
  }
  return target;
}

Reward fronts_of(const Graph& reference, const std::vector<MacsPerByte>& points,
                 const std::vector<MacsPerByte>& range, const std::string& reduce) {
  Reward reward;
  for (MacsPerByte point : points) {
    reward.targets.push_back(
        target_of(fmt::format("ridge point {:g}", point.value), reference, {point}));
  }
  const double first = range.front().value, last = range.back().value;
  reward.targets.push_back(
      target_of(fmt::format("{} of ridge points {:g} to {:g}", reduce, first, last), reference,
                spread_ridge_points(first, last, 32)));
  const auto known = reduce_named(reduce);
  if (!known) throw Error("--reduce must be worst or mean");
  reward.targets.back().reduce = *known;
  return reward;
}

// Latency in times of one MAC at peak, by ridge point; the latencies of `points` come first.
Json latency_json(const std::vector<MacsPerByte>& points, const std::vector<Macs>& latency) {
  Json json = Json::object();
  for (size_t p = 0; p < points.size(); ++p) {
    json[fmt::format("{:g}", points[p].value)] = latency[p].value;
  }
  return json;
}

void print(const Json& fronts) {
  for (const Json& front : fronts["fronts"]) {
    fmt::print("{}, latency relative to {}\n\n", front["target"].get<std::string>(),
               fronts["reference"].get<std::string>());
    for (const Json& network : front["networks"]) {
      fmt::print("    {:<12} {:>8.3f} {:>8.2f} %\n", network["name"].get<std::string>(),
                 network["of_target"].get<double>(), 100 * network["accuracy"].get<double>());
    }
    fmt::print("\n");
  }
}

}  // namespace

int front_command(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "front RUN --out DIR [--ridge LIST] [--range A:B] [--evaluations N]",
      "From one trained supernet the networks worth having: the Pareto set of accuracy\n"
      "(shared weights, search-validation) and latency at each ridge point, and the\n"
      "universal set, by the relative latency over a range. Writes front.yaml,\n"
      "the networks as YAML, and report.html.",
      "run", 1);
  line.add()("out", po::value<std::string>(), "folder");
  line.add()(
      "stage", po::value<std::string>(),
      "whose supernet (default: the first that the run has of single, coarse, fine, hybrid)");
  line.add()("ridge", po::value<std::string>()->default_value("0,31.2,500"), "ridge points");
  line.add()("range", po::value<std::string>()->default_value("0:500"),
             "of ridge points for the universal set");
  line.add()("reduce", po::value<std::string>()->default_value("worst"),
             "worst or mean of the relative latencies over the range");
  line.add()("relative-to", po::value<std::string>(),
             "network whose latency is 1, if not the reference of the run");
  line.add_number<int>("evaluations", 3, 100000, "networks tried", 120);
  line.add_seed("of what is tried", 0);
  line.add()("resume", "go on with what is in --out");
  line.add_data_options(false);
  line.add_session_options();
  if (!line.parse(arguments)) return 0;
  catch_interrupts();
  const std::string folder = line.words()[0];
  const SearchConfig config = load_search_config(folder + "/config.yaml", {});
  const SearchStage stage =
      stage_of_run(folder, line.has("stage") ? line.get<std::string>("stage") : "");
  const int evaluations = line.get<int>("evaluations");
  if (evaluations < 3 || evaluations > 100000) {
    throw Error("--evaluations must be from 3 to 100000");
  }
  const std::vector<MacsPerByte> points = parse_ridge_points(line.get<std::string>("ridge"), 6);
  const std::vector<MacsPerByte> range =
      parse_ridge_points(line.get<std::string>("range"), 2, "--range");
  if (range.size() != 2) throw Error("--range must be two ridge points, A:B");
  const std::string reference_name =
      line.has("relative-to") ? line.get<std::string>("relative-to") : config.reference;
  const Architecture reference = for_space(find_architecture(reference_name), config.space);
  const Reward reward = fronts_of(lower(reference), points, range, line.get<std::string>("reduce"));
  const Session session = line.session(config.threads, config.precision);
  const Dataset data = dataset_of(config, line);
  const SearchSpace space = searched_space(config, folder, stage);

  Supernet supernet(space, data, config.weights, session.machine);
  load_weights(supernet_file(folder, stage), supernet.parameters());
  const std::string fingerprint = fmt::format(
      "{}\n{}\n{}\n{} {} {}{}{}{}{}", config.resolved, to_yaml(reference), to_yaml(space),
      to_string(stage), evaluations, line.seed(), fingerprint_of(supernet.parameters()),
      fingerprint_of(reward), fingerprint_of(config.weights.distillation, data),
      fingerprint_of(session.machine));
  const std::string out = line.required("out");
  RunFolder run = line.has("resume") ? RunFolder::resume(out, fingerprint)
                                     : RunFolder::create(out, fingerprint);
  const std::vector<Candidate> tried = trial_phase(
      run, "front", supernet, space, reward, evaluations, mix(mix(line.seed(), 1000), 900), session,
      [&](const Trial& trial, std::mt19937_64& random) {
        return search_fronts(trial, evaluations, random);
      });

  Json result = {{"run", folder},         {"stage", to_string(stage)},
                 {"space", space.name},   {"reference", reference.name},
                 {"tried", tried.size()}, {"fronts", Json::array()}};
  std::map<size_t, Architecture> emitted;
  for (size_t t = 0; t < reward.targets.size(); ++t) {
    Json networks = Json::array();
    for (size_t i : pareto_front(tried, reward, t)) {
      Architecture architecture = decode(space, tried[i].decisions);
      architecture.name = fmt::format("front-{:03}", i);
      const NetworkCost cost = network_cost(lower(architecture));
      networks.push_back({{"name", architecture.name},
                          {"architecture", architecture.name + ".yaml"},
                          {"accuracy", tried[i].accuracy},
                          {"split", "search-validation"},
                          {"weights", "shared"},
                          {"of_target", reward.ratios(tried[i].latency)[t]},
                          {"latency_macs", latency_json(points, tried[i].latency)},
                          {"of_targets", reward.ratios(tried[i].latency)},
                          {"parameters", cost.parameters},
                          {"macs", cost.macs.value}});
      emitted.emplace(i, std::move(architecture));
    }
    result["fronts"].push_back(
        {{"target", reward.targets[t].name}, {"networks", std::move(networks)}});
  }
  std::vector<RatedNetwork> rated;
  std::vector<Contender> contenders;
  for (const auto& [i, architecture] : emitted) {
    write_file(run.file(architecture.name + ".yaml"), to_yaml(architecture));
    rated.push_back(
        {architecture, RatedAccuracy{.top1 = tried[i].accuracy,
                                     .images = data.name + " search-validation, shared weights",
                                     .source = folder}});
    contenders.push_back({architecture.name, "found", architecture, {}, {}});
  }
  write_file(run.file("front.yaml"), yaml_text(result));
  Json report = network_report("Fronts of one supernet", command_text("front", arguments), rated,
                               contenders, config.report_ridge_points);
  report["fronts"] = result;
  write_file(run.file("report.html"), report_html(report));
  if (!session.quiet) print(result);
  fmt::print("{} networks tried, {} on a front: {}\nreport: {}\n", tried.size(), emitted.size(),
             run.file("front.yaml"), run.file("report.html"));
  return 0;
}

}  // namespace ridgewalk
