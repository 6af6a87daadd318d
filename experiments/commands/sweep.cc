#include "experiments/report/sweep.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <set>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/commands/profile_latencies.h"
#include "experiments/machine/measurement.h"
#include "experiments/machine/table_names.h"
#include "experiments/report/network_report.h"
#include "experiments/report/report.h"
#include "space/decisions.h"
#include "space/file.h"
#include "space/lowering.h"
#include "space/number.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

CommandLine sweep_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "sweep ARCH... --out DIR",
      "Latency of networks over the ridge point, in units of one MAC at peak: the sum over\n"
      "operations of max(MACs, ridge point * bytes). Writes sweep.csv, sweep.json and\n"
      "report.html. ARCH is a catalogue name, a YAML file or the folder of a run, whose\n"
      "networks come with the accuracies that its result.yaml gives.",
      "arch", -1);
  line.add()("ridge", po::value<std::string>()->default_value("0:500"), "a:b or a list 0,5,31.2");
  line.add_number<int>("points", 2, 10000, "ridge points from a to b", 101);
  line.add()("profile", po::value<std::vector<std::string>>()->composing(),
             "hardware profile: its place on the axis is added, and milliseconds on it (may be\n"
             "repeated)");
  line.add()("dtype", po::value<std::string>()->default_value("int8"),
             "width of weights and activations: int8, bf16, fp16, fp32");
  line.add()(
      "head-dtype", po::value<std::string>(),
      "the same of what follows the last stage: its MACs take as much longer as its elements "
      "are wider, on a profile as its peaks say");
  line.add_number<int>("batch", 1, kLargestBatch, "images that run together", 1);
  line.add()(
      "members", po::value<std::string>(),
      "also random networks, as SPACE:COUNT (mobile:100); their YAML is left in OUT/members");
  line.add_seed("of the members", 1);
  line.add()("measure",
             "compare predicted with measured latency on this machine; needs --profile of "
             "`calibrate`");
  line.add()("out", po::value<std::string>(), "folder");
  line.add_input_options();
  line.add_session_options();
  return line;
}

void refuse_input_options(const CommandLine& line, const std::string& reason) {
  for (const char* option : {"resolution", "classes", "channels"}) {
    if (line.has(option)) throw Error(reason + "; leave out --" + option);
  }
}

std::vector<NetworkRecord> networks_of_word(const CommandLine& line, const std::string& word) {
  if (is_folder(word)) {
    refuse_input_options(line, word + ": is swept as the run left it");
    return networks_of_run(word);
  }
  const Architecture architecture = line.architecture(word);
  return {{.architecture = architecture, .rated = published_for(word, architecture)}};
}

// Of the words of the command line, in their order. Networks with the same name are told apart by
// the word that they came from.
std::vector<NetworkRecord> networks_of(const CommandLine& line) {
  std::vector<NetworkRecord> networks;
  const auto is_taken = [&](const std::string& name) {
    return std::any_of(networks.begin(), networks.end(),
                       [&](const NetworkRecord& other) { return other.architecture.name == name; });
  };
  for (const std::string& word : line.words()) {
    for (NetworkRecord& network : networks_of_word(line, word)) {
      std::string& name = network.architecture.name;
      if (is_taken(name)) name = is_folder(word) ? word + "/" + name : word;
      if (is_taken(name)) throw Error(word, 0, "is given twice; give each network once");
      networks.push_back(std::move(network));
    }
  }
  return networks;
}

// Random and all different. Throws Error where the space does not have as many.
std::vector<Decisions> distinct_samples(const SearchSpace& space, int count, uint64_t seed) {
  constexpr int kTries = 100000;  // in a row without a new one
  std::mt19937_64 random(seed);
  std::vector<Decisions> samples;
  std::set<Decisions> seen;
  for (int tries = 0; int(samples.size()) < count; ++tries) {
    if (tries == kTries) {
      throw Error(fmt::format("--members: space '{}' has only {} networks; ask for fewer",
                              space.name, samples.size()));
    }
    const Decisions decisions = sample(space, random);
    if (!seen.insert(decisions).second) continue;
    samples.push_back(decisions);
    tries = 0;
  }
  return samples;
}

// "mobile:100": that many random members of a space.
std::vector<NetworkRecord> random_members(const std::string& text, uint64_t seed) {
  constexpr int kMost = 200;  // the report holds the ops of each
  const size_t colon = text.rfind(':');
  const auto count = parse_whole(colon == std::string::npos ? "" : text.substr(colon + 1));
  if (!count || *count < 1 || *count > kMost) {
    throw Error(fmt::format("--members: '{}' must be a space and a number from 1 to {}: mobile:100",
                            text, kMost));
  }
  const SearchSpace space = load_search_space(text.substr(0, colon));
  std::string file_name = space.name;
  std::replace(file_name.begin(), file_name.end(), '/', '_');
  std::vector<NetworkRecord> members;
  for (const Decisions& decisions : distinct_samples(space, int(*count), seed)) {
    Architecture architecture = decode(space, decisions);
    architecture.name = fmt::format("{}-{}-{:03}", file_name, seed, members.size());
    members.push_back({.architecture = std::move(architecture)});
  }
  return members;
}

std::vector<NetworkRecord> members_of(const CommandLine& line,
                                      const std::vector<NetworkRecord>& networks) {
  if (!line.has("members")) return {};
  refuse_input_options(line, "--members are as their space has them");
  std::vector<NetworkRecord> members =
      random_members(line.get<std::string>("members"), line.seed());
  for (const NetworkRecord& network : networks) {
    for (const NetworkRecord& member : members) {
      if (member.architecture.name != network.architecture.name) continue;
      throw Error(member.architecture.name, 0,
                  "is given and also among the members; choose another --seed");
    }
  }
  return members;
}

// The one profile of --profile that has laws of ops; it must be for the given threads and
// precision.
Profile calibrated_profile(const CommandLine& line, const std::vector<std::string>& names) {
  std::optional<Profile> found;
  for (const std::string& name : names) {
    Profile profile = load_profile(name);
    if (profile.op_laws.empty()) continue;
    if (found) throw Error("--measure compares with one profile with laws; give one --profile");
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

struct SweepQuestion {
  std::vector<MacsPerByte> points;  // ascending, the profiles' places among them
  ProfileQuestion on;
  std::optional<Profile> calibrated;  // of --measure
  bool quiet = false;
};

SweepQuestion sweep_question(const CommandLine& line) {
  SweepQuestion question{
      .points = parse_ridge_points(line.get<std::string>("ridge"), line.get<int>("points")),
      .on = profile_question(line),
      .calibrated = {},
      .quiet = line.has("quiet")};
  std::vector<MacsPerByte>& points = question.points;
  for (const std::string& name : question.on.profiles) {
    const Profile profile = load_profile(name);
    const LatencyModel model{.ridge_point = profile.ridge_point(), .data_type = profile.data_type};
    points.push_back(model.place_on_axis(question.on.types.stages));
  }
  std::sort(points.begin(), points.end());
  points.erase(std::unique(points.begin(), points.end()), points.end());
  const Session session = line.session();
  if (line.has("measure")) {
    if (question.on.has_head_type)
      throw Error("--measure times one data type; leave --head-dtype out");
    if (question.on.batch != 1) throw Error("--measure times single images; leave --batch out");
    if (!session.compute.device.is_cpu()) throw Error("--device: --measure is only for the CPU");
    question.calibrated = calibrated_profile(line, question.on.profiles);
    checked_threads(question.calibrated->threads, question.quiet);
  }
  return question;
}

void make_folder(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  if (failed) {
    throw_if_disk_failed(path, failed.value());
    throw Error(path, 0, "cannot be created (" + failed.message() + "); choose another --out");
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

void write_members(const std::string& out, const std::vector<NetworkRecord>& members) {
  if (!members.empty()) make_folder(out + "/members");
  for (const NetworkRecord& member : members) {
    write_file(out + "/members/" + member.architecture.name + ".yaml",
               to_yaml(member.architecture));
  }
}

Json report_of(const std::vector<NetworkRecord>& networks, const std::vector<NetworkRow>& rows,
               const std::vector<MacsPerByte>& shown, const SweepQuestion& question,
               const std::string& command) {
  return {{"title", "Networks over the ridge point" + of_batch_text(question.on.batch)},
          {"created", now_text()},
          {"version", RIDGEWALK_VERSION},
          {"command", command},
          {"reference", networks[0].architecture.name},
          {"ridge_points", values_json(shown)},
          {"networks", networks_json(rows)},
          {"sweep", sweep_json(networks, question.points, question.on.types, question.on.batch)},
          {"marks", profile_marks(question.on.profiles, question.on.types.stages)}};
}

// Writes measured.csv and measured.json.
MeasuredNetworks measure(const std::vector<NetworkRecord>& networks, const SweepQuestion& question,
                         const std::string& out) {
  std::vector<Architecture> architectures;
  for (const NetworkRecord& network : networks) architectures.push_back(network.architecture);
  const MeasuredNetworks measured =
      measure_networks(architectures, *question.calibrated, question.quiet);
  write_file(out + "/measured.csv", measured_csv(measured, names_in_table(architectures, out)));
  write_file(out + "/measured.json", json_text(measured_json(measured)) + "\n");
  return measured;
}

}  // namespace

int sweep_command(const Arguments& arguments) {
  CommandLine line = sweep_line();
  if (!line.parse(arguments)) return 0;
  const SweepQuestion question = sweep_question(line);
  std::vector<NetworkRecord> networks;
  if (line.has("arch") || !line.has("members")) networks = networks_of(line);
  const std::vector<NetworkRecord> members = members_of(line, networks);
  networks.insert(networks.end(), members.begin(), members.end());
  const std::string out = line.required("out");
  const ProfileLatencies latencies = on_profiles(networks, question.on);
  if (!question.quiet) print_missing_peaks(latencies);
  make_folder(out);
  write_members(out, members);

  std::vector<MacsPerByte> shown = {{0}, {5}, {31.2}, {100}, {347.3}, {500}};
  if (question.points.back().value > 500) shown.push_back(question.points.back());
  const std::vector<NetworkRow> rows =
      network_rows(networks, shown, 0, question.on.types, question.on.batch);
  Json report = report_of(networks, rows, shown, question, command_text("sweep", arguments));
  write_file(out + "/sweep.csv", sweep_csv(report["sweep"]));
  write_file(out + "/sweep.json", json_text(report["sweep"]) + "\n");
  if (!latencies.on.empty()) write_file(out + "/profiles.csv", profiles_csv(networks, latencies));
  std::string measured_text;
  if (question.calibrated) {
    const MeasuredNetworks measured = measure(networks, question, out);
    report["measured"] = measured_json(measured);
    measured_text = measured_table(measured) + "\n";
  }
  write_file(out + "/report.html", report_html(report));
  if (question.quiet) return 0;
  fmt::print("Latency{} at each ridge point (MACs/byte) relative to {}\n\n{}\n",
             of_batch_text(question.on.batch), networks[0].architecture.name,
             network_table(rows, shown));
  print_profiles(networks, latencies, question.on.batch);
  print_fronts(report["sweep"]);
  fmt::print("{}report: {}/report.html\n", measured_text, out);
  return 0;
}

}  // namespace ridgewalk
