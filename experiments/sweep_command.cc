#include "experiments/sweep.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "experiments/command_line.h"
#include "experiments/comparison.h"
#include "experiments/report.h"
#include "roofline/profile.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

// Of the words of the command line, in their order. Networks of one name are told apart by the word
// that they came from.
std::vector<RatedNetwork> networks_of(const CommandLine& line) {
  std::vector<RatedNetwork> networks;
  const auto taken = [&](const std::string& name) {
    return std::any_of(networks.begin(), networks.end(),
                       [&](const RatedNetwork& other) { return other.architecture.name == name; });
  };
  for (const std::string& word : line.words()) {
    const bool is_run = std::filesystem::is_directory(word);
    std::vector<RatedNetwork> given;
    if (is_run) {
      for (const char* option : {"resolution", "classes", "channels"}) {
        if (!line.has(option)) continue;
        throw Error(word, 0, std::string("is swept as the run left it; leave out --") + option);
      }
      given = networks_of_run(word);
    } else {
      const Architecture architecture = line.architecture(word);
      given.push_back({architecture, published_for(word, architecture)});
    }
    for (RatedNetwork& network : given) {
      std::string& name = network.architecture.name;
      if (taken(name)) name = is_run ? word + "/" + name : word;
      if (taken(name)) throw Error(word, 0, "is given twice; give each network once");
      networks.push_back(std::move(network));
    }
  }
  return networks;
}

void print_fronts(const Json& sweep) {
  std::string rows;
  for (const Json& network : sweep["networks"]) {
    if (network["accuracy"].is_null()) continue;
    std::string ranges;
    for (const Json& range : network["front"]) {
      ranges += fmt::format("{}{:.4g} to {:.4g}", ranges.empty() ? "" : ", ",
                            range[0].get<double>(), range[1].get<double>());
    }
    rows += fmt::format("{:<22} {:>6.2f} %  {}\n", network["name"].get<std::string>(),
                        100 * network["accuracy"]["top1"].get<double>(),
                        ranges.empty() ? "never" : ranges);
  }
  if (rows.empty()) return;
  fmt::print("Ridge points at which a network is on the front of latency and accuracy\n\n{}\n",
             rows);
}

}  // namespace

int sweep_command(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "sweep ARCH... --out DIR",
      "Latency of networks over the ridge point, in units of one MAC at peak: the sum over\n"
      "operations of max(MACs, ridge point * bytes). Writes sweep.csv, sweep.json and\n"
      "report.html. ARCH is a catalogue name, a YAML file or the folder of a run, whose\n"
      "networks come with the accuracies that its result.yaml gives.",
      "arch", -1);
  line.add()("ridge", po::value<std::string>()->default_value("0:500"), "a:b or a list 0,5,31.2");
  line.add()("points", po::value<int>()->default_value(101), "ridge points from a to b");
  line.add()("profile", po::value<std::vector<std::string>>()->composing(),
             "hardware profile whose ridge point is added (may be repeated)");
  line.add()("dtype", po::value<std::string>()->default_value("int8"),
             "width of weights and activations: int8, bf16, fp16, fp32");
  line.add()("out", po::value<std::string>(), "folder");
  line.add_input_options();
  line.add_session_options();
  if (!line.parse(arguments)) return 0;

  std::vector<MacsPerByte> points =
      parse_ridge_points(line.get<std::string>("ridge"), line.get<int>("points"));
  std::vector<std::string> profiles;
  if (line.has("profile")) profiles = line.get<std::vector<std::string>>("profile");
  for (const std::string& name : profiles) points.push_back(load_profile(name).ridge_point());
  std::sort(points.begin(), points.end());
  points.erase(std::unique(points.begin(), points.end()), points.end());
  const DataType type = parse_data_type(line.get<std::string>("dtype"));
  const std::vector<RatedNetwork> networks = networks_of(line);
  const std::string out = line.required("out");
  std::error_code failed;
  std::filesystem::create_directories(out, failed);
  if (failed)
    throw Error(out, 0, "cannot be made (" + failed.message() + "); choose another --out");

  std::vector<Contender> contenders;
  for (const RatedNetwork& network : networks) {
    contenders.push_back({network.architecture.name, "found", network.architecture, {}, {}});
  }
  const Json sweep = sweep_json(networks, points, type);
  std::vector<MacsPerByte> shown = {{0}, {5}, {31.2}, {100}, {347.3}, {500}};
  if (points.back().value > 500) shown.push_back(points.back());
  Json report = {{"title", "Networks over the ridge point"},
                 {"created", now_text()},
                 {"version", RIDGEWALK_VERSION},
                 {"command", command_text("sweep", arguments)},
                 {"reference", networks[0].architecture.name},
                 {"ridge_points", Json::array()},
                 {"networks", networks_json(contenders, shown, 0, type)},
                 {"sweep", sweep},
                 {"marks", profile_marks(profiles)}};
  for (MacsPerByte point : shown) report["ridge_points"].push_back(point.value);
  write_file(out + "/sweep.csv", sweep_csv(sweep));
  write_file(out + "/sweep.json", json_text(sweep) + "\n");
  write_file(out + "/report.html", report_html(report));
  if (!line.has("quiet")) {
    fmt::print("Latency at each ridge point (MACs/byte) relative to {}\n\n{}\n",
               networks[0].architecture.name, comparison_table(report["networks"], shown));
    print_fronts(sweep);
    fmt::print("report: {}/report.html\n", out);
  }
  return 0;
}

}  // namespace ridgewalk
