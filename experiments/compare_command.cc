#include <algorithm>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "experiments/command_line.h"
#include "experiments/comparison.h"
#include "experiments/contest.h"
#include "experiments/csv.h"
#include "experiments/interrupt.h"
#include "experiments/report.h"
#include "space/error.h"
#include "space/file.h"

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
    const bool is_number = !word.empty() && word.size() < 16 &&
                           word.find_first_not_of("0123456789") == std::string::npos;
    if (!is_number) throw Error("--seeds: '" + text + "' must be whole numbers: 1,2,3");
    seeds.push_back(std::stoull(word));
  }
  if (seeds.empty()) throw Error("--seeds must name at least one");
  if (std::set<uint64_t>(seeds.begin(), seeds.end()).size() != seeds.size()) {
    throw Error("--seeds: '" + text + "' names one twice; a run repeated is no second run");
  }
  return seeds;
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
  line.add()("random-networks", po::value<int>()->default_value(8), "random networks a seed");
  line.add_data_options(false);
  line.add_session_options();
  if (!line.parse(arguments)) return 0;
  catch_interrupts();
  const std::string config_path = line.required("config");
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

  std::vector<Entry> entries;
  SearchConfig config;
  for (uint64_t seed : seeds) {
    ConfigOverrides overrides{.seed = seed, .threads = {}, .targets = {}};
    if (line.has("targets")) overrides.targets = line.get<std::string>("targets");
    config = load_search_config(config_path, overrides);
    Session session = line.session(config.threads, config.precision);
    session.checkpoint_every = config.checkpoint_every;
    const Dataset data = dataset_of(config, line);
    check_contest(config, ways, data);
    for (Way way : ways) {
      const std::vector<Entry> found = run_way(out, config, way, random_networks, data, session);
      entries.insert(entries.end(), found.begin(), found.end());
    }
  }

  const Json list = entries_json(entries);
  const Json summary = summary_json(entries);
  std::vector<RatedNetwork> rated;
  std::vector<Contender> contenders;
  for (const Entry& entry : entries) {
    Architecture architecture = entry.architecture;
    architecture.name = fmt::format("{} {}", to_string(entry.way), entry.seed);
    if (entry.way == Way::kRandomNetworks)
      architecture.name += " " + entry.architecture.name.substr(7);
    rated.push_back({architecture, trained_accuracy(entry.trained)});
    const bool is_random = entry.way == Way::kRandomNetworks;
    const Json shared = entry.shared.is_null() ? Json() : Json{{"top1", entry.shared}};
    contenders.push_back(
        {architecture.name, is_random ? "random" : "found", architecture, shared, entry.trained});
  }
  Json report = network_report("Ways to a network in " + config.space.name,
                               command_text("compare", arguments), rated, contenders,
                               config.report_ridge_points);
  report["contest"] = {{"summary", summary}, {"entries", list}};
  write_file(out + "/result.yaml", yaml_text({{"summary", summary}, {"entries", list}}));
  write_file(out + "/compare.csv", csv_table(list));
  write_file(out + "/report.html", report_html(report));
  fmt::print("{}\nreport: {}/report.html\n", contest_text(summary, list), out);
  return 0;
}

}  // namespace ridgewalk
