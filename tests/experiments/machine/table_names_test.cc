#include "experiments/machine/table_names.h"

#include <filesystem>

#include <gmock/gmock.h>

#include "roofline/measurements.h"
#include "space/catalog.h"
#include "space/file.h"

namespace ridgewalk {
namespace {

// Whatever a network is called and wherever it came from, `fit` finds the same one beside the
// table.
TEST(NamesInTable, AreFoundBesideTheTable) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "names-in-table";
  fs::remove_all(folder);
  fs::create_directories(folder / "members");
  Architecture resized = find_architecture("mnv4-conv-small");
  resized.resolution = 128;
  Architecture member = find_architecture("compact-nano");
  member.name = "space-1-000";
  write_file((folder / "members" / "space-1-000.yaml").string(), to_yaml(member));
  Architecture of_a_run = member, alike = member, stale = member;
  of_a_run.name = "runs/a/found";
  alike.name = "runs_a/found";
  stale.name = "space-1-001";  // a file of this name is left from another sweep
  write_file((folder / "members" / "space-1-001.yaml").string(), to_yaml(resized));
  const std::vector<Architecture> networks = {
      find_architecture("mnv4-conv-small"), resized, member, of_a_run, alike, stale};
  const std::vector<std::string> names = names_in_table(networks, folder.string());
  EXPECT_THAT(names,
              testing::ElementsAre("mnv4-conv-small", "networks/mnv4-conv-small.yaml",
                                   "members/space-1-000.yaml", "networks/runs_a_found.yaml",
                                   "networks/runs_a_found_.yaml", "networks/space-1-001.yaml"));
  const std::string table = (folder / "measured.csv").string();
  for (size_t i = 0; i < networks.size(); ++i) {
    EXPECT_EQ(find_architecture(network_beside(table, names[i])), networks[i]) << names[i];
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace ridgewalk
