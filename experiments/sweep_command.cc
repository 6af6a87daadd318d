#include <filesystem>

#include <fmt/format.h>

#include "experiments/command_line.h"
#include "experiments/comparison.h"
#include "experiments/report.h"
#include "roofline/profile.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string result = "\"";
  for (char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
  return result + '"';
}

std::string sweep_csv(const Json& sweep) {
  std::string csv = "network,ridge_point,latency_macs\n";
  for (const Json& network : sweep["networks"]) {
    for (size_t i = 0; i < sweep["ridge_points"].size(); ++i) {
      csv += fmt::format("{},{},{}\n", quoted(network["name"].get<std::string>()),
                         sweep["ridge_points"][i].get<double>(),
                         network["latency_macs"][i].get<double>());
    }
  }
  return csv;
}

}  // namespace

int sweep_command(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "sweep ARCH... --out DIR",
      "Latency of networks over the ridge point, in units of one MAC at peak: the sum over\n"
      "operations of max(MACs, ridge point * bytes). Writes sweep.csv, sweep.json and\n"
      "report.html.",
      "arch", -1);
  line.add()("ridge", po::value<std::string>()->default_value("0:500"), "a:b or a list 0,5,31.2");
  line.add()("profile", po::value<std::vector<std::string>>()->composing(),
             "hardware profile whose ridge point is added (may be repeated)");
  line.add()("dtype", po::value<std::string>()->default_value("int8"),
             "width of weights and activations: int8, bf16, fp16, fp32");
  line.add()("out", po::value<std::string>(), "folder");
  line.add_input_options();
  line.add_session_options();
  if (!line.parse(arguments)) return 0;

  std::vector<MacsPerByte> points = parse_ridge_points(line.get<std::string>("ridge"));
  if (line.has("profile")) {
    for (const auto& name : line.get<std::vector<std::string>>("profile")) {
      points.push_back(load_profile(name).ridge_point());
    }
  }
  std::sort(points.begin(), points.end());
  points.erase(std::unique(points.begin(), points.end()), points.end());
  const DataType type = parse_data_type(line.get<std::string>("dtype"));
  std::vector<Architecture> architectures;
  std::vector<Contender> contenders;
  for (const std::string& name : line.words()) {
    architectures.push_back(line.architecture(name));
    const Architecture& architecture = architectures.back();
    contenders.push_back({architecture.name, "found", architecture, {}, {}});
  }
  const std::string out = line.required("out");
  std::error_code failed;
  std::filesystem::create_directories(out, failed);
  if (failed)
    throw Error(out, 0, "cannot be made (" + failed.message() + "); choose another --out");

  const Json sweep = sweep_json(architectures, points, type);
  const std::vector<MacsPerByte> shown = {{0}, {5}, {31.2}, {100}, {347.3}, {500}};
  Json report = {{"title", "Latency over the ridge point"},
                 {"version", RIDGEWALK_VERSION},
                 {"reference", architectures[0].name},
                 {"ridge_points", Json::array()},
                 {"networks", networks_json(contenders, shown, 0)},
                 {"sweep", sweep},
                 {"marks", profile_marks()}};
  for (MacsPerByte point : shown) report["ridge_points"].push_back(point.value);
  write_file(out + "/sweep.csv", sweep_csv(sweep));
  write_file(out + "/sweep.json", json_text(sweep) + "\n");
  write_file(out + "/report.html", report_html(report));
  if (!line.has("quiet")) {
    fmt::print(
        "Latency at each ridge point (MACs/byte) relative to {}\n\n{}\nreport: {}/report.html\n",
        architectures[0].name, comparison_table(report["networks"], shown), out);
  }
  return 0;
}

}  // namespace ridgewalk
