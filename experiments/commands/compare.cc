#include <algorithm>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/evidence/comparison.h"
#include "experiments/evidence/homes.h"
#include "experiments/report/network_report.h"
#include "experiments/report/report.h"
#include "experiments/run/csv.h"
#include "experiments/run/interrupt.h"
#include "space/catalog.h"
#include "space/error.h"
#include "space/file.h"
#include "space/number.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

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
    throw Error("--seeds: '" + text + "' names one twice; a run repeated is no second run");
  }
  return seeds;
}

// Name and YAML of each.
std::vector<std::pair<std::string, std::string>> homes_of(const std::string& path) {
  const YamlSource source = parse_yaml(read_file(path), path);
  if (!source.node.IsMap() || source.node.size() < 2) {
    source.fail("must name two targets at least: LOW: {ridge_point: 0, relative_to: ARCH}");
  }
  std::vector<std::pair<std::string, std::string>> homes;
  std::set<std::string> names;
  for (const auto& home : source.node) {
    const auto name = home.first.Scalar();
    if (!is_plain_name(name) || !names.insert(name).second) {
      source.fail("'" + name +
                  "' is there twice, or cannot be the name of a folder; name it otherwise");
    }
    YAML::Emitter text;
    text << YAML::Flow << home.second;
    homes.emplace_back(name, text.c_str());
  }
  return homes;
}

SearchConfig config_of(const CommandLine& line, const std::optional<std::string>& targets,
                       uint64_t seed) {
  return load_search_config(line.required("config"),
                            {.seed = seed, .threads = {}, .targets = targets});
}

// Entries as a report takes them.
struct ReportEntries {
  std::vector<RatedNetwork> rated;
  std::vector<Contender> contenders;

  void add(const Entry& entry, const std::string& name) {
    Architecture architecture = entry.architecture;
    architecture.name = name;
    const char* kind = entry.way == Way::kRandomNetworks ? "random" : "found";
    const Json shared = entry.shared.is_null() ? Json() : Json{{"top1", entry.shared}};
    rated.push_back({architecture, trained_accuracy(entry.trained)});
    contenders.push_back({name, kind, architecture, shared, entry.trained});
  }
};

// Every way with every seed for one set of targets: runs, report and text. Leaves them in `out`.
std::vector<Entry> run_comparison(const CommandLine& line, const Arguments& arguments,
                                  const std::string& out, const std::optional<std::string>& targets,
                                  const std::vector<uint64_t>& seeds, const std::vector<Way>& ways,
                                  int random_networks) {
  std::vector<Entry> entries;
  SearchConfig config;
  for (uint64_t seed : seeds) {
    config = config_of(line, targets, seed);
    Session session = line.session(config.threads, config.precision);
    session.checkpoint_every = config.checkpoint_every;
    const Dataset data = dataset_of(config, line);
    check_comparison(config, ways, random_networks, data);
    for (Way way : ways) {
      try {
        const std::vector<Entry> found = run_way(out, config, way, random_networks, data, session);
        entries.insert(entries.end(), found.begin(), found.end());
      } catch (const Interrupted&) {
        throw Interrupted("interrupted; the same command goes on");
      }
    }
  }
  const Json list = entries_json(entries);
  const Json summary = summary_json(entries);
  ReportEntries shown;
  for (const Entry& entry : entries) {
    std::string name = fmt::format("{} {}", to_string(entry.way), entry.seed);
    if (entry.way == Way::kRandomNetworks) name += " " + entry.architecture.name.substr(7);
    shown.add(entry, name);
  }
  Json report = network_report("Ways to a network in " + config.space.name,
                               command_text("compare", arguments), shown.rated, shown.contenders,
                               config.report_ridge_points);
  report["comparison"] = {{"summary", summary}, {"entries", list}};
  write_file(out + "/result.yaml", yaml_text({{"summary", summary}, {"entries", list}}));
  write_file(out + "/compare.csv", csv_table(list));
  write_file(out + "/report.html", report_html(report));
  fmt::print("{}\nreport: {}/report.html\n", comparison_text(summary, list), out);
  return entries;
}

}  // namespace

int compare_command(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "compare --config FILE --out DIR [--seeds 1,2,3] [--ways LIST]",
      "Ways to a network at the same number of training images and the same target:\n"
      "two-stage and one-stage TuNAS, random-search and evolution over one supernet trained on\n"
      "uniform samples, and random-networks of the target's latency. What each finds is trained\n"
      "from scratch; means over the seeds with 95 % intervals. Goes on where it was stopped.",
      "none", 0);
  line.add()("config", po::value<std::string>(), "YAML of the experiment (experiments/configs)");
  line.add()("out", po::value<std::string>(), "folder; of each way and seed a run in it");
  line.add()("seeds", po::value<std::string>()->default_value("1,2,3"),
             "one run of each way a seed");
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
  line.add_number<int>("random-networks", 1, 10000, "random networks a seed", 8);
  line.add_data_options(false);
  line.add_loader_options();
  line.add_session_options();
  if (!line.parse(arguments)) return 0;
  catch_interrupts();
  const std::string out = line.required("out");
  const std::vector<uint64_t> seeds = seeds_of(line.get<std::string>("seeds"));
  std::vector<Way> ways;
  for (const std::string& word : words_of(line.get<std::string>("ways"))) {
    const Way way = way_named(word);
    if (std::find(ways.begin(), ways.end(), way) != ways.end()) {
      throw Error("--ways names '" + word + "' twice; give each once");
    }
    ways.push_back(way);
  }
  if (ways.empty()) throw Error("--ways must name at least one");
  const int random_networks = line.get<int>("random-networks");
  if (random_networks < 1 || random_networks > 10000) {
    throw Error("--random-networks must be from 1 to 10000");
  }

  if (!line.has("homes")) {
    if (line.has("relative-to")) throw Error("--relative-to goes with --homes");
    const auto targets =
        line.has("targets") ? std::optional(line.get<std::string>("targets")) : std::nullopt;
    run_comparison(line, arguments, out, targets, seeds, ways, random_networks);
    return 0;
  }
  if (line.has("targets")) throw Error("--homes brings its targets; leave --targets out");
  if (ways == std::vector{Way::kRandomNetworks}) throw Error("--homes needs a way that searches");
  const std::string path = line.get<std::string>("homes");
  const auto homes = homes_of(path);
  const SearchConfig config = config_of(line, std::nullopt, seeds[0]);
  const Architecture reference =
      for_space(find_architecture(line.required("relative-to")), config.space);
  std::vector<Traveller> travellers;
  ReportEntries shown;
  shown.rated.push_back({reference, std::nullopt});
  shown.contenders.push_back({reference.name, "reference", reference, {}, {}});
  // All are looked at before the first is searched.
  const Dataset data = dataset_of(config, line);
  std::vector<double> points;
  for (MacsPerByte point : config.report_ridge_points) points.push_back(point.value);
  for (const auto& [name, home] : homes) {
    try {
      const SearchConfig own = config_of(line, home, seeds[0]);
      check_comparison(own, ways, random_networks, data);
      for (const Target& target : own.reward.targets) {
        points.push_back(target.ridge_points.front().value);
        points.push_back(target.ridge_points.back().value);
      }
    } catch (const Error& error) {
      throw Error(path, 0, "'" + name + "': " + error.what());
    }
  }
  std::sort(points.begin(), points.end());
  points.erase(std::unique(points.begin(), points.end()), points.end());
  const std::vector<MacsPerByte> priced(points.begin(), points.end());
  for (const auto& [name, home] : homes) {
    fmt::print("found for {}: {}\n\n", name, home);
    for (const Entry& entry :
         run_comparison(line, arguments, out + "/" + name, home, seeds, ways, random_networks)) {
      if (entry.way == Way::kRandomNetworks) continue;
      travellers.push_back({name, to_string(entry.way), entry.seed, entry.architecture,
                            entry.trained["test"]["top1"].get<double>()});
      shown.add(entry, fmt::format("{} {} {}", name, to_string(entry.way), entry.seed));
    }
  }
  const Json abroad = abroad_json(travellers, reference, priced);
  const Json rows = travellers_json(travellers, reference, priced);
  Json report =
      network_report("Found for some ridge points, priced at others",
                     command_text("compare", arguments), shown.rated, shown.contenders, priced);
  report["abroad"] = abroad;
  write_file(out + "/result.yaml", yaml_text({{"homes", abroad}, {"networks", rows}}));
  write_file(out + "/abroad.csv", csv_table(rows));
  write_file(out + "/report.html", report_html(report));
  fmt::print("{}\nreport: {}/report.html\n", abroad_text(abroad), out);
  return 0;
}

}  // namespace ridgewalk
