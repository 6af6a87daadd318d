#include "experiments/machine/table_names.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "space/catalog.h"
#include "space/error.h"
#include "space/file.h"

namespace ridgewalk {
namespace {

bool is_as_in_catalog(const Architecture& network, const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), network.name) != names.end() &&
         find_architecture(network.name) == network;
}

bool holds(const std::string& file, const std::string& text) {
  std::error_code unreadable;
  return std::filesystem::is_regular_file(file, unreadable) && read_file(file) == text;
}

}  // namespace

std::vector<std::string> names_in_table(const std::vector<Architecture>& networks,
                                        const std::string& folder) {
  const std::vector<std::string> catalog = catalog_names();
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (const Architecture& network : networks) {
    if (is_as_in_catalog(network, catalog)) {
      names.push_back(network.name);
      continue;
    }
    const std::string text = to_yaml(network);
    std::string file_name = network.name;
    std::replace(file_name.begin(), file_name.end(), '/', '_');
    while (!taken.insert(file_name).second) file_name += "_";
    names.push_back("members/" + file_name + ".yaml");
    if (holds(folder + "/" + names.back(), text)) continue;
    names.back() = "networks/" + file_name + ".yaml";
    std::error_code failed;
    std::filesystem::create_directories(folder + "/networks", failed);
    if (failed) {
      throw_if_disk_failed(folder + "/networks", failed.value());
      throw Error(folder + "/networks", 0, "cannot be created: " + failed.message());
    }
    write_file(folder + "/" + names.back(), text);
  }
  return names;
}

}  // namespace ridgewalk
