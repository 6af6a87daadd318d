#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/commands/memory_check.h"
#include "experiments/evidence/comparison.h"
#include "experiments/evidence/homes.h"
#include "experiments/evidence/way_trials.h"
#include "experiments/evidence/ways.h"
#include "experiments/report/network_report.h"
#include "experiments/report/report.h"
#include "experiments/run/csv.h"
#include "experiments/run/interrupt.h"
#include "experiments/run/target_config.h"
#include "space/catalog.h"
#include "space/error.h"
#include "space/file.h"
#include "space/number.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

CommandLine compare_command_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "compare --config FILE --out DIR [--seeds 1,2,3] [--ways LIST] [--workers DIR]",
      "Ways to a network at the same number of training images and the same target:\n"
      "two-stage and one-stage TuNAS, random-search and evolution over one supernet trained on\n"
      "uniform samples, and random-networks of the target's latency. What each finds is trained\n"
      "from scratch; means over the seeds with 95 % intervals. The same command resumes.",
      "none", 0);
  line.add()("config", po::value<std::string>(), "YAML of the experiment (experiments/configs)");
  line.add()("out", po::value<std::string>(), "folder; it gets one run per way and seed");
  line.add()("seeds", po::value<std::string>()->default_value("1,2,3"),
             "one run of each way per seed");
  line.add()("ways",
             po::value<std::string>()->default_value(
                 "two-stage,one-stage,random-search,evolution,random-networks"),
             "which");
  line.add()("targets", po::value<std::string>(), "YAML, instead of the configuration's");
  line.add()("homes", po::value<std::string>(),
             "file of several targets, LOW: {ridge_point: 0, ...}; what is found for each is "
             "priced at the ridge points of all and at report_ridge_points");
  line.add()("relative-to", po::value<std::string>(),
             "with --homes: network whose latency is the unit");
  line.add_number<int>("random-networks", 1, 10000, "random networks per seed", 8);
  line.add_data_options(false);
  line.add_loader_options();
  line.add_lanes_options("samples of a step, batches of an evaluation and trainings");
  line.add_workers_options("its searches and trainings");
  return line;
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream stream(text);
  for (std::string word; std::getline(stream, word, ',');) words.push_back(word);
  return words;
}

std::vector<uint64_t> seeds_of(const std::string& text) {
  std::vector<uint64_t> seeds;
  for (const std::string& word : words_of(text)) {
    const std::optional<int64_t> seed = parse_whole(word);
    if (!seed || *seed < 0) throw Error("--seeds: '" + text + "' must be whole numbers: 1,2,3");
    seeds.push_back(uint64_t(*seed));
  }
  if (seeds.empty()) throw Error("--seeds must name at least one");
  if (std::set<uint64_t>(seeds.begin(), seeds.end()).size() != seeds.size()) {
    throw Error("--seeds: '" + text + "' names a seed twice, which would repeat the same run");
  }
  return seeds;
}

std::vector<Way> ways_of(const std::string& text) {
  std::vector<Way> ways;
  for (const std::string& word : words_of(text)) {
    const Way way = option_named<Way>("--ways", word);
    if (std::find(ways.begin(), ways.end(), way) != ways.end()) {
      throw Error("--ways names '" + word + "' twice; give each once");
    }
    ways.push_back(way);
  }
  if (ways.empty()) throw Error("--ways must name at least one");
  return ways;
}

// The targets that networks are found for.
struct Home {
  std::string name;       // of its folder; empty where there are no others
  std::string targets;    // YAML
  SearchConfig config{};  // with these targets
};

std::vector<Home> homes_of(const std::string& path) {
  const YamlSource source = parse_yaml(read_file(path), path);
  if (!source.node.IsMap() || source.node.size() < 2) {
    source.fail("must name at least two targets: LOW: {ridge_point: 0, relative_to: ARCH}");
  }
  std::vector<Home> homes;
  std::set<std::string> names;
  for (const auto& home : source.node) {
    const auto name = home.first.Scalar();
    if (!is_plain_name(name) || !names.insert(name).second) {
      source.fail("'" + name +
                  "' is there twice or cannot be the name of a folder; choose another name");
    }
    YAML::Emitter text;
    text << YAML::Flow << home.second;
    homes.push_back({name, text.c_str()});
  }
  return homes;
}

// What was asked for.
struct CompareRequest {
  const CommandLine& line;
  std::string command;  // as it was called
  std::string yaml;     // of --config, read once
  std::string out;
  std::vector<uint64_t> seeds;
  std::vector<Way> ways;
  int random_networks = 0;

  // Of the first seed.
  SearchConfig config(const std::optional<std::string>& targets) const {
    return search_config_from_yaml(yaml, line.required("config"),
                                   {.seed = seeds[0], .threads = {}, .targets = targets});
  }
  // The same of another seed. Reads no file that the configuration names.
  SearchConfig with_seed(const SearchConfig& config, uint64_t seed) const {
    return search_config_from_yaml(config.resolved, line.required("config"),
                                   {.seed = seed, .threads = {}, .targets = {}});
  }
};

CompareRequest compare_request(const CommandLine& line, const Arguments& arguments) {
  CompareRequest request{.line = line,
                         .command = command_text("compare", arguments),
                         .yaml = read_file(line.required("config")),
                         .out = line.required("out"),
                         .seeds = seeds_of(line.get<std::string>("seeds")),
                         .ways = ways_of(line.get<std::string>("ways")),
                         .random_networks = line.get<int>("random-networks")};
  if (!line.has("homes")) {
    if (line.has("relative-to")) throw Error("--relative-to goes with --homes");
    return request;
  }
  if (line.has("targets")) throw Error("--homes brings its targets; leave --targets out");
  if (request.ways == std::vector{Way::kRandomNetworks}) {
    throw Error("--homes needs a way that searches");
  }
  return request;
}

// Shares out the work for all homes. Nothing where another process leads; where this one does, all
// that is to be computed is in the folders of the homes.
std::optional<Leadership> share_homes(const CompareRequest& request, const Workers& workers,
                                      const std::vector<Home>& homes) {
  const SearchConfig& first = homes.front().config;  // all homes are in its space
  Session session = request.line.session(first.threads, first.precision);
  session.checkpoint_every = first.checkpoint_every;
  require_supernet_memory(searched_space(first.space, SearchStage::kSingle, std::nullopt), first,
                          session, session.compute.lanes);
  WayTrials trials(request.ways, request.random_networks, session);
  for (const Home& home : homes) {
    const std::string folder = home.name.empty() ? request.out : request.out + "/" + home.name;
    for (const uint64_t seed : request.seeds) {
      const SearchConfig config = request.with_seed(home.config, seed);
      trials.add(home.name.empty() ? "" : home.name + ".", folder, config,
                 [&request, config] { return dataset_of(config, request.line); });
    }
  }
  std::optional<Leadership> lead = share_out(workers, trials.shared(request.out), session);
  if (lead) lead->runs.clear();  // each is opened again
  return lead;
}

// Runs `compare`; with --workers only where this process leads, and when the work is done.
void with_workers(const CompareRequest& request, const std::vector<Home>& homes,
                  const std::function<void()>& compare) {
  const auto workers = request.line.workers();
  if (!workers) return compare();
  const std::optional<Leadership> lead = share_homes(request, *workers, homes);
  if (!lead) return;
  compare();
  lead->folder->finish_lead();
}

NetworkRecord named(NetworkRecord network, const std::string& name) {
  network.architecture.name = name;
  return network;
}

// Every way with every seed for the targets of `first`, in `out`: runs, report and text.
std::vector<NetworkRecord> run_comparison(const CompareRequest& request, const std::string& out,
                                          const SearchConfig& first) {
  std::vector<NetworkRecord> networks;
  for (uint64_t seed : request.seeds) {
    const SearchConfig config = request.with_seed(first, seed);
    Session session = request.line.session(config.threads, config.precision);
    session.checkpoint_every = config.checkpoint_every;
    const Dataset data = dataset_of(config, request.line);
    check_ways(config, request.ways, request.random_networks, data);
    require_supernet_memory(searched_space(config.space, SearchStage::kSingle, std::nullopt),
                            config, session);
    const WaysContext context{out, config, data, session, request.random_networks};
    for (Way way : request.ways) {
      try {
        const std::vector<NetworkRecord> found = run_way(context, way);
        networks.insert(networks.end(), found.begin(), found.end());
      } catch (const Interrupted&) {
        throw Interrupted("interrupted; the same command resumes");
      }
    }
  }
  std::vector<NetworkRecord> shown;
  for (const NetworkRecord& network : networks) {
    std::string name = fmt::format("{} {}", to_string(network.origin.way), network.origin.seed);
    if (network.kind == NetworkKind::kRandom) name += " " + network.architecture.name.substr(7);
    shown.push_back(named(network, name));
  }
  const std::vector<WaySummary> summary = summarize(networks);
  const Json result = {{"summary", summary_json(summary)}, {"entries", compared_json(networks)}};
  Json report = network_report("Ways to a network in " + first.space.name, request.command, shown,
                               first.report_ridge_points);
  report["comparison"] = result;
  write_file(out + "/result.yaml", yaml_text(result));
  write_file(out + "/compare.csv", csv_table(result["entries"]));
  write_file(out + "/report.html", report_html(report));
  fmt::print("{}\nreport: {}/report.html\n", comparison_text(summary, networks), out);
  return networks;
}

// Checks all homes before the first is searched, and gives them their configurations. Returns the
// places of their targets and `report_ridge_points`.
std::vector<Place> check_homes(const CompareRequest& request, const std::string& path,
                               std::vector<Home>& homes, const SearchConfig& config) {
  const Dataset data = dataset_of(config, request.line);
  std::vector<Target> targets;
  for (Home& home : homes) {
    try {
      home.config = request.config(home.targets);
      check_ways(home.config, request.ways, request.random_networks, data);
      const std::vector<Target>& own = home.config.reward.targets;
      targets.insert(targets.end(), own.begin(), own.end());
    } catch (const Error& error) {
      throw Error(path, 0, "'" + home.name + "': " + error.what());
    }
  }
  return places_of(targets, config.report_ridge_points);
}

std::vector<MacsPerByte> ridge_points_of(const Pricing& pricing) {
  std::vector<MacsPerByte> points;
  for (const Place& place : pricing.places) {
    if (place.device.empty()) points.push_back(place.model.ridge_point);
  }
  return points;
}

void report_homes(const CompareRequest& request, const std::vector<Home>& homes,
                  const Pricing& pricing) {
  const std::string& out = request.out;
  std::vector<NetworkRecord> networks;
  std::vector<NetworkRecord> shown{
      {.architecture = pricing.reference, .kind = NetworkKind::kReference}};
  for (const Home& home : homes) {
    fmt::print("found for {}: {}\n\n", home.name, home.targets);
    for (NetworkRecord& network : run_comparison(request, out + "/" + home.name, home.config)) {
      if (network.kind == NetworkKind::kRandom) continue;
      network.origin.home = home.name;
      shown.push_back(named(
          network,
          fmt::format("{} {} {}", home.name, to_string(network.origin.way), network.origin.seed)));
      networks.push_back(std::move(network));
    }
  }
  const std::vector<HomeSummary> summary = summarize_homes(networks, pricing);
  const Json summary_rows = homes_json(summary, pricing);
  const Json rows = priced_json(networks, pricing);
  Json report = network_report("Found for some ridge points, priced at others", request.command,
                               shown, ridge_points_of(pricing));
  report["homes"] = summary_rows;
  write_file(out + "/result.yaml", yaml_text({{"homes", summary_rows}, {"networks", rows}}));
  write_file(out + "/abroad.csv", csv_table(rows));
  write_file(out + "/report.html", report_html(report));
  fmt::print("{}\nreport: {}/report.html\n", homes_text(summary, pricing), out);
}

void compare_homes(const CompareRequest& request) {
  const auto path = request.line.get<std::string>("homes");
  std::vector<Home> homes = homes_of(path);
  const SearchConfig config = request.config(std::nullopt);
  const Architecture reference =
      for_space(find_architecture(request.line.required("relative-to")), config.space);
  const Pricing pricing{.reference = reference,
                        .places = check_homes(request, path, homes, config)};
  with_workers(request, homes, [&] { report_homes(request, homes, pricing); });
}

}  // namespace

int compare_command(const Arguments& arguments) {
  CommandLine line = compare_command_line();
  if (!line.parse(arguments)) return 0;
  catch_interrupts();
  const CompareRequest request = compare_request(line, arguments);
  if (line.has("homes")) {
    compare_homes(request);
    return 0;
  }
  const SearchConfig config = request.config(line.find<std::string>("targets"));
  with_workers(request, {{"", "", config}}, [&] { run_comparison(request, request.out, config); });
  return 0;
}

}  // namespace ridgewalk
