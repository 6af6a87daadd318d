#include "experiments/machine/field_kit.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <span>

#include <fmt/format.h>

#include "experiments/machine/resources.h"
#include "experiments/machine/table_names.h"
#include "roofline/measurements.h"
#include "space/embedded.h"
#include "space/error.h"
#include "space/file.h"
#include "space/lowering.h"
#include "supernet/formats/onnx.h"
#include "supernet/formats/weights.h"

namespace ridgewalk {

std::span<const EmbeddedFile> embedded_field_kit();

namespace {

// Nothing that was measured is lost.
void refuse_filled_form(const std::string& form) {
  if (!path_exists(form)) return;
  if (read_measurements(read_file(form), form, "latency_ms").rows.empty()) return;
  throw Error(form, 0, "holds latencies; give another folder, or remove it");
}

void make_folder(const std::string& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (!failed) return;
  throw_if_disk_failed(folder, failed.value());
  throw Error(folder, 0, "cannot be created: " + failed.message());
}

// One per network: its name, with what shells and file systems mind replaced.
std::vector<std::string> file_names(const std::vector<Architecture>& networks) {
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (const Architecture& network : networks) {
    std::string name = network.name;
    std::replace_if(
        name.begin(), name.end(),
        [](unsigned char c) { return !std::isalnum(c) && c != '-' && c != '.' && c != '@'; }, '_');
    name += fmt::format("-{}", network.resolution);
    while (!taken.insert(name).second) name += "_";
    names.push_back(name + ".onnx");
  }
  return names;
}

// A cell of a table: in quotes where it holds what would end it.
std::string cell(const std::string& text) {
  if (text.find_first_of(",\"\\") == std::string::npos) return text;
  std::string quoted;
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return '"' + quoted + '"';
}

void write_network(const std::string& path, const Architecture& architecture, int batch) {
  const Graph graph = lower(architecture);
  require_memory("'" + architecture.name + "'", {.weights = inference_memory(graph, 1).weights},
                 "choose a smaller network");
  const Network network = fresh_network(graph);
  write_onnx(path, network.graph, network.parameters, std::nullopt, {.batch = batch});
}

}  // namespace

void write_field_kit(const std::string& folder, const std::vector<Architecture>& networks,
                     int batch) {
  const std::string form = folder + "/measured.csv";
  refuse_filled_form(form);
  make_folder(folder);
  const std::vector<std::string> names = names_in_table(networks, folder);
  const std::vector<std::string> files = file_names(networks);
  // `fit` passes over a column whose name begins with #.
  std::string table = "network,#file,batch,latency_ms\n";
  for (size_t i = 0; i < networks.size(); ++i) {
    write_network(folder + "/" + files[i], networks[i], batch);
    table += fmt::format("{},{},{},\n", cell(names[i]), files[i], batch);
  }
  write_file(folder + "/measure.sh", std::string(find(embedded_field_kit(), "measure").value()));
  write_file(form, table);  // the last, so that it names nothing that is not there
}

std::vector<std::string> networks_to_measure() {
  return {"mobilenet-v1",       "mobilenet-v2-050",       "mobilenet-v2",        "mobilenet-v2-150",
          "mobilenet-v3-large", "mobilenet-v3-large-050", "mnv4-conv-small-050", "mnv4-conv-small",
          "mnv4-conv-medium",   "mnv4-hybrid-medium"};
}

}  // namespace ridgewalk
