#include "experiments/report/sweep.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <random>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/machine/measurement.h"
#include "experiments/machine/table_names.h"
#include "experiments/report/network_report.h"
#include "experiments/report/report.h"
#include "roofline/profile.h"
#include "space/decisions.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

// Of the words of the command line, in their order. Networks of one name are told apart by the word
// that they came from.
std::vector<NetworkRecord> networks_of(const CommandLine& line) {
  std::vector<NetworkRecord> networks;
  const auto taken = [&](const std::string& name) {
    return std::any_of(networks.begin(), networks.end(),
                       [&](const NetworkRecord& other) { return other.architecture.name == name; });
  };
  for (const std::string& word : line.words()) {
    const bool is_run = std::filesystem::is_directory(word);
    std::vector<NetworkRecord> given;
    if (is_run) {
      for (const char* option : {"resolution", "classes", "channels"}) {
        if (!line.has(option)) continue;
        throw Error(word, 0, std::string("is swept as the run left it; leave out --") + option);
      }
      given = networks_of_run(word);
    } else {
      const Architecture architecture = line.architecture(word);
      given.push_back({.architecture = architecture, .rated = published_for(word, architecture)});
    }
    for (NetworkRecord& network : given) {
      std::string& name = network.architecture.name;
      if (taken(name)) name = is_run ? word + "/" + name : word;
      if (taken(name)) throw Error(word, 0, "is given twice; give each network once");
      networks.push_back(std::move(network));
    }
  }
  return networks;
}

// "mobile:100": so many random members of a space.
std::vector<NetworkRecord> random_members(const std::string& text, uint64_t seed) {
  const size_t colon = text.rfind(':');
  int count = 0;
  if (colon != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, count);
    if (error != std::errc() || stop != end) count = 0;
  }
  if (count < 1 || count > 200) {  // the report holds the ops of each
    throw Error("--members: '" + text + "' must be a space and a number from 1 to 200: mobile:100");
  }
  const SearchSpace space = load_search_space(text.substr(0, colon));
  std::string file_name = space.name;
  std::replace(file_name.begin(), file_name.end(), '/', '_');
  std::mt19937_64 random(seed);
  std::vector<NetworkRecord> members;
  for (int i = 0; i < count; ++i) {
    Architecture architecture = decode(space, sample(space, random));
    architecture.name = fmt::format("{}-{}-{:03}", file_name, seed, i);
    members.push_back({.architecture = std::move(architecture)});
  }
  return members;
}

// The one profile of --profile that has laws of ops, for the threads and precision that are asked.
Profile calibrated_profile(const CommandLine& line, const std::vector<std::string>& names) {
  std::optional<Profile> found;
  for (const std::string& name : names) {
    Profile profile = load_profile(name);
    if (profile.op_laws.empty()) continue;
    if (found) throw Error("--measure holds against one profile with laws; give one --profile");
    found = std::move(profile);
  }
  if (!found) {
    throw Error(
        "--measure needs this machine's own profile: ridgewalk calibrate --out "
        "machine.yaml, then --profile machine.yaml");
  }
  const int threads = std::max(1, found->threads);
  if (line.has("threads") && line.get<int>("threads") != threads) {
    throw Error(
        fmt::format("--threads: the profile is for {}; calibrate with other threads", threads));
  }
  if (line.has("precision") && line.get<std::string>("precision") != to_string(found->data_type)) {
    throw Error(fmt::format("--precision: the profile is for {}; calibrate with another precision",
                            to_string(found->data_type)));
  }
  return *found;
}

void make_folder(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  if (failed) {
    throw Error(path, 0, "cannot be made (" + failed.message() + "); choose another --out");
  }
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
  line.add()("members", po::value<std::string>(),
             "random networks too: mobile:100, a space and how many; they are left in OUT/members");
  line.add()("seed", po::value<int64_t>()->default_value(1), "of the members");
  line.add()("measure",
             "predicted beside measured latency, on this machine: with --profile of `calibrate`");
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
  std::optional<Profile> calibrated;
  const Session session = line.session();
  if (line.has("measure")) {
    if (!session.compute.device.is_cpu()) throw Error("--device: --measure is for the CPU alone");
    calibrated = calibrated_profile(line, profiles);
  }
  std::vector<NetworkRecord> networks;
  if (line.has("arch") || !line.has("members")) networks = networks_of(line);
  std::vector<NetworkRecord> members;
  if (line.has("members")) {
    for (const char* option : {"resolution", "classes", "channels"}) {
      if (!line.has(option)) continue;
      throw Error(std::string("--members are as their space has them; leave out --") + option);
    }
    members = random_members(line.get<std::string>("members"), line.seed());
    for (const NetworkRecord& network : networks) {
      for (const NetworkRecord& member : members) {
        if (member.architecture.name != network.architecture.name) continue;
        throw Error(member.architecture.name, 0, "is given and a member too; take another --seed");
      }
    }
    networks.insert(networks.end(), members.begin(), members.end());
  }
  const std::string out = line.required("out");
  make_folder(out);
  if (!members.empty()) make_folder(out + "/members");
  for (const NetworkRecord& member : members) {
    write_file(out + "/members/" + member.architecture.name + ".yaml",
               to_yaml(member.architecture));
  }

  const Json sweep = sweep_json(networks, points, type);
  std::vector<MacsPerByte> shown = {{0}, {5}, {31.2}, {100}, {347.3}, {500}};
  if (points.back().value > 500) shown.push_back(points.back());
  const std::vector<NetworkRow> rows = network_rows(networks, shown, 0, type);
  Json report = {{"title", "Networks over the ridge point"},
                 {"created", now_text()},
                 {"version", RIDGEWALK_VERSION},
                 {"command", command_text("sweep", arguments)},
                 {"reference", networks[0].architecture.name},
                 {"ridge_points", values_json(shown)},
                 {"networks", networks_json(rows)},
                 {"sweep", sweep},
                 {"marks", profile_marks(profiles)}};
  write_file(out + "/sweep.csv", sweep_csv(sweep));
  write_file(out + "/sweep.json", json_text(sweep) + "\n");
  if (calibrated) {
    std::vector<Architecture> architectures;
    for (const NetworkRecord& network : networks) architectures.push_back(network.architecture);
    report["measured"] = measure_networks(architectures, *calibrated, line.has("quiet"));
    write_file(out + "/measured.csv",
               measured_csv(report["measured"], names_in_table(architectures, out)));
    write_file(out + "/measured.json", json_text(report["measured"]) + "\n");
  }
  write_file(out + "/report.html", report_html(report));
  if (!line.has("quiet")) {
    fmt::print("Latency at each ridge point (MACs/byte) relative to {}\n\n{}\n",
               networks[0].architecture.name, network_table(rows, shown));
    print_fronts(sweep);
    if (calibrated) fmt::print("{}\n", measured_table(report["measured"]));
    fmt::print("report: {}/report.html\n", out);
  }
  return 0;
}

}  // namespace ridgewalk
