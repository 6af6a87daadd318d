#include <map>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/commands/memory_check.h"
#include "experiments/report/network_report.h"
#include "experiments/report/report.h"
#include "experiments/run/fingerprint.h"
#include "experiments/run/interrupt.h"
#include "experiments/run/recalibration.h"
#include "experiments/run/search_run.h"
#include "experiments/run/seed_streams.h"
#include "experiments/run/target_config.h"
#include "roofline/price.h"
#include "search/front.h"
#include "space/catalog.h"
#include "space/error.h"
#include "space/file.h"
#include "supernet/training/provenance_check.h"

namespace ridgewalk {
namespace {

CommandLine front_command_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "front RUN --out DIR [--ridge LIST] [--range A:B] [--evaluations N]",
      "The networks worth having of one trained supernet: the Pareto set of accuracy\n"
      "(shared weights, search-validation) and latency at each ridge point, and the\n"
      "universal set, by the relative latency over a range. None exceeds a limit that\n"
      "is among the run's targets. Writes front.yaml, the networks as YAML, and\n"
      "report.html. What is tried depends on what was tried before, so that no --workers\n"
      "can share it.",
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
  line.add_seed("of the networks that are tried", 0);
  line.add()("resume", "continue the run in --out");
  line.add_data_options(false);
  line.add_lanes_options("batches of an evaluation");
  return line;
}

// A latency of `reference` at each of `points`.
Target target_of(const std::string& name, const Graph& reference,
                 const std::vector<MacsPerByte>& points) {
  const std::vector<LatencyModel> models = rooflines(points);
  return {.name = name, .models = models, .latency = prices(reference, models)};
}

// One target for each of `points`, and one for the range.
Reward targets_of(const Graph& reference, const std::vector<MacsPerByte>& points,
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
  reward.targets.back().reduce = option_named<Reduce>("--reduce", reduce);
  return reward;
}

// The limits that a run searched under.
std::vector<Target> limits_of(const SearchConfig& config, double law_factor) {
  std::vector<Target> limits = with_law_factor(config.reward, law_factor).targets;
  std::erase_if(limits, [](const Target& target) { return !target.is_limit; });
  return limits;
}

// What was asked for.
struct FrontRequest {
  std::string folder;  // of the run with the supernet
  SearchConfig config;
  SearchStage stage = {};
  double law_factor = 1;  // of the run's calibrated machine
  int evaluations = 0;
  uint64_t seed = 0;
  std::vector<MacsPerByte> points;
  Architecture reference;
  Reward reward;  // the fronts', then the limits
};

FrontRequest front_request(const CommandLine& line) {
  FrontRequest request;
  request.folder = line.words()[0];
  request.config = config_of_run(request.folder);
  request.stage =
      stage_of_run(request.folder, line.has("stage") ? line.get<std::string>("stage") : "");
  request.evaluations = line.get<int>("evaluations");
  request.points = parse_ridge_points(line.get<std::string>("ridge"), 6);
  const std::vector<MacsPerByte> range =
      parse_ridge_points(line.get<std::string>("range"), 2, "--range");
  if (range.size() != 2) throw Error("--range must be two ridge points, A:B");
  const auto other = line.find<std::string>("relative-to");
  request.reference =
      for_space(other ? find_architecture(*other) : request.config.reference, request.config.space);
  request.reward =
      targets_of(lower(request.reference), request.points, range, line.get<std::string>("reduce"));
  request.law_factor = law_factor_of_run(request.folder, request.stage);
  for (Target& limit : limits_of(request.config, request.law_factor)) {
    request.reward.targets.push_back(std::move(limit));
  }
  request.seed = line.seed();
  return request;
}

// Nothing is written where nothing can be shown.
void require_any_within(const SearchSpace& space, const FrontRequest& request) {
  const Reward limits{.targets = limits_of(request.config, request.law_factor)};
  if (limits.targets.empty()) return;
  if (any_within_limits(space, CostTable(space, limits.models()), limits)) return;
  throw Error(request.folder, 0,
              "no architecture of space '" + space.name +
                  "' was found within all limits of the run's targets, and front shows none above "
                  "them; search with wider limits first");
}

// Candidates by the shared weights of a supernet, and which of them are on the front of each
// target.
struct Fronts {
  std::string images;  // that accuracies are on
  std::vector<Candidate> tried = {};
  std::vector<std::vector<size_t>> by_target = {};  // indices of candidates, the fastest first
  std::map<size_t, NetworkRecord> networks = {};    // all that are on a front, by index
};

Fronts fronts_of(std::vector<Candidate> tried, const FrontRequest& request,
                 const SearchSpace& space, const Dataset& data) {
  const Reward& reward = request.reward;
  Fronts fronts{.images = data.name + " search-validation, shared weights",
                .tried = std::move(tried)};
  for (size_t t = 0; t < reward.targets.size() && !reward.targets[t].is_limit; ++t) {
    fronts.by_target.push_back(pareto_front(fronts.tried, reward, t));
    for (size_t i : fronts.by_target.back()) {
      const Candidate& candidate = fronts.tried[i];
      NetworkRecord network{
          .architecture = decode(space, candidate.decisions),
          .of_target = reward.ratios(candidate.latency),
          .of_limits = limit_shares(reward, candidate.latency),
          .rated = RatedAccuracy{
              .top1 = candidate.accuracy, .images = fronts.images, .source = request.folder}};
      network.of_target.resize(reward.targets.size() - network.of_limits.size());
      network.architecture.name = fmt::format("front-{:03}", i);
      fronts.networks.emplace(i, std::move(network));
    }
  }
  return fronts;
}

// Latency in times of one MAC at peak, by ridge point; the latencies of `points` come first.
Json latency_json(const std::vector<MacsPerByte>& points, const std::vector<Macs>& latency) {
  Json json = Json::object();
  for (size_t p = 0; p < points.size(); ++p) {
    json[fmt::format("{:g}", points[p].value)] = latency[p].value;
  }
  return json;
}

std::vector<TargetSummary> limit_summaries(const FrontRequest& request) {
  std::vector<TargetSummary> limits = target_summaries(request.reward);
  std::erase_if(limits, [](const TargetSummary& target) { return !target.is_limit; });
  return limits;
}

Json fronts_json(const Fronts& fronts, const FrontRequest& request, const SearchSpace& space) {
  Json result = {{"run", request.folder},
                 {"stage", to_string(request.stage)},
                 {"space", space.name},
                 {"reference", request.reference.name},
                 {"tried", fronts.tried.size()}};
  if (const auto limits = limit_summaries(request); !limits.empty()) result["limits"] = limits;
  result["fronts"] = Json::array();
  for (size_t t = 0; t < fronts.by_target.size(); ++t) {
    Json networks = Json::array();
    for (size_t i : fronts.by_target[t]) {
      const NetworkRecord& network = fronts.networks.at(i);
      const NetworkCost cost = network_cost(lower(network.architecture));
      Json& json = networks.emplace_back(
          Json{{"name", network.architecture.name},
               {"architecture", network.architecture.name + ".yaml"},
               {"accuracy", fronts.tried[i].accuracy},
               {"split", "search-validation"},
               {"weights", "shared"},
               {"of_target", network.of_target[t]},
               {"latency_macs", latency_json(request.points, fronts.tried[i].latency)},
               {"of_targets", network.of_target},
               {"parameters", cost.parameters},
               {"macs", cost.macs.value}});
      add_limits(json, network.of_limits);
    }
    result["fronts"].push_back(
        {{"target", request.reward.targets[t].name}, {"networks", std::move(networks)}});
  }
  return result;
}

void print(const Fronts& fronts, const FrontRequest& request) {
  for (const TargetSummary& limit : limit_summaries(request)) {
    fmt::print("at most: {}{}\n", limit.name,
               limit.amount ? " (" + amount_text(*limit.amount) + ")"
               : limit.latency_ms
                   ? " (" + milliseconds_text(*limit.latency_ms, limit.is_guess) + ")"
                   : "");
  }
  for (size_t t = 0; t < fronts.by_target.size(); ++t) {
    fmt::print("{}, latency relative to {}\n\n", request.reward.targets[t].name,
               request.reference.name);
    for (size_t i : fronts.by_target[t]) {
      const NetworkRecord& network = fronts.networks.at(i);
      fmt::print("    {:<12} {:>8.3f} {:>8.2f} %\n", network.architecture.name,
                 network.of_target[t], 100 * fronts.tried[i].accuracy);
    }
    fmt::print("\n");
  }
}

// front.yaml, the networks and the report.
void write(const RunFolder& run, const Fronts& fronts, const FrontRequest& request,
           const SearchSpace& space, const std::string& command) {
  std::vector<NetworkRecord> networks;
  for (const auto& [i, network] : fronts.networks) {
    write_file(run.file(network.architecture.name + ".yaml"), to_yaml(network.architecture));
    networks.push_back(network);
  }
  const Json result = fronts_json(fronts, request, space);
  write_file(run.file("front.yaml"), yaml_text(result));
  Json report = network_report("Fronts of one supernet", command, networks,
                               request.config.report_ridge_points);
  report["fronts"] = result;
  report["targets"] = limit_summaries(request);
  write_file(run.file("report.html"), report_html(report));
}

}  // namespace

int front_command(const Arguments& arguments) {
  CommandLine line = front_command_line();
  if (!line.parse(arguments)) return 0;
  catch_interrupts();
  const FrontRequest request = front_request(line);
  const SearchConfig& config = request.config;
  const Session session = line.session(config.threads, config.precision);
  const std::string weights = supernet_file(request.folder, request.stage);
  const Dataset data = dataset_of(config, line, weights);
  const SearchSpace space = searched_space(config, request.folder, request.stage);
  require_supernet_memory(space, config, session);
  Supernet supernet(space, data, config.weights, session.compute);
  load_weights_for(data, weights, supernet.parameters());
  require_any_within(space, request);

  const std::string inputs = fingerprint(
      {.texts = {config.resolved, to_yaml(request.reference), to_yaml(space)},
       .settings = fmt::format("stage: {}\nevaluations: {}\nseed: {}\n", to_string(request.stage),
                               request.evaluations, request.seed),
       .weights = &supernet.parameters(),
       .reward = &request.reward,
       .distillations = {&config.weights.distillation},
       .data = data,
       .compute = session.compute});
  const std::string out = line.required("out");
  RunFolder run =
      line.has("resume") ? RunFolder::resume(out, inputs) : RunFolder::create(out, inputs);
  const Trials trials{
      .supernet = supernet,
      .space = space,
      .reward = request.reward,
      .count = request.evaluations,
      .seed = stream_seed(stream_seed(request.seed, SeedStream::kFront), SeedStream::kTrials)};
  const Fronts fronts =
      fronts_of(trial_phase({run, data, session}, "front", trials,
                            [&](const Trial& trial, std::mt19937_64& random) {
                              return search_fronts(trial, request.evaluations, random);
                            }),
                request, space, data);

  write(run, fronts, request, space, command_text("front", arguments));
  if (!session.quiet) print(fronts, request);
  fmt::print("{} networks tried, {} on a front: {}\nreport: {}\n", fronts.tried.size(),
             fronts.networks.size(), run.file("front.yaml"), run.file("report.html"));
  return 0;
}

}  // namespace ridgewalk
