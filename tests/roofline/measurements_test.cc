#include "roofline/measurements.h"

#include <filesystem>
#include <fstream>
#include <random>

#include "space/file.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

struct BadTable {
  const char* text;
  const char* says;
};

TEST(Measurements, AreRefusedWithFileAndLine) {
  const BadTable tables[] = {
      {"", "t.csv:1: empty"},
      {"network,speed\nx,1\n", "t.csv:1: no column holds a latency"},
      {"net,a_ms\nx,1\n", "t.csv:1: no column is named 'network'; there are: net a_ms"},
      {"network,speed\nx,1\n", "there are: network speed"},
      {"network,a_ms,network\nx,1,y\n", "t.csv:1: two columns are named 'network'"},
      {"network,a_ms,a_ms\nx,1,2\n", "t.csv:1: two columns are named 'a_ms'"},
      {"# c\nnetwork,threads,a_ms\nx,8,1\n",
       "t.csv:2: unknown column 'threads'; known are network"},
      {"network,batch,a_ms\nx,70000,1\n", "t.csv:2: 'batch' is 70000, above 65536"},
      {"network,batch,a_ms\nx,0,1\n", "'batch' must be a number above 0"},
      {"network,a_ms,b_ms\nx,1,2\n", "choose one with --latency: a_ms b_ms"},
      {"# c\nnetwork,a_ms\nx,1\ny\n", "t.csv:4: 1 cells under 2 columns"},
      {"network,a_ms\nx,-1\n", "t.csv:2: 'a_ms' must be a number above 0, not '-1'"},
      {"network,a_ms\nx,1e999\n", "must be a number above 0"},
      {"network,a_ms\nx,1e300\n", "not between a nanosecond and a million seconds"},
      {"network,a_ms\nx,nan\n", "must be a number above 0"},
      {"network,a_ms\n,1\n", "t.csv:2: 'network' is empty"},
      {"network,a_ms\n\"x,1\n", "t.csv:2"},
      {"network,a_ms\nx\\q,1\n", "t.csv:2"},
      {"network,resolution,a_ms\nx,224.5,1\n", "'resolution' must be a number above 0"},
  };
  for (const BadTable& table : tables) {
    EXPECT_THAT(error_of([&] { read_measurements(table.text, "t.csv", ""); }),
                testing::HasSubstr(table.says))
        << table.text;
  }
}

TEST(Measurements, KnowUnitsCommentsAndWhatIsMissing) {
  const Measurements table = read_measurements(
      "# about\nnetwork, classes, a_us, b_ms\n\"a,b\", 10, 5, 1\nc,,Failed,2\nd,,-,3\n", "t.csv",
      "a_us");
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(table.rows[0].network, "a,b");
  EXPECT_EQ(table.rows[0].classes, 10);
  EXPECT_DOUBLE_EQ(table.rows[0].latency.value, 5e-6);
  EXPECT_EQ(table.rows[0].line, 3);
  EXPECT_EQ(table.not_measured, 2);
}

// As Excel saves "CSV UTF-8": a byte order mark, and lines that end in CRLF.
TEST(Measurements, MayComeFromASpreadsheet) {
  const Measurements table =
      read_measurements("\xEF\xBB\xBFnetwork,a_ms\r\n\"a,b\",2\r\nc,3\r\n", "t.csv", "");
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0].network, "a,b");
  EXPECT_DOUBLE_EQ(table.rows[1].latency.value, 3e-3);
}

TEST(Measurements, NamePathsBesideTheTable) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "measurements-beside";
  fs::create_directories(folder / "members");
  std::ofstream(folder / "members" / "one.yaml") << "name: one\n";
  const std::string table = (folder / "measured.csv").string();
  EXPECT_EQ(network_beside(table, "members/one.yaml"), (folder / "members" / "one.yaml").string());
  EXPECT_EQ(network_beside(table, "members/two.yaml"), "members/two.yaml");
  EXPECT_EQ(network_beside(table, "mobilenet-v2"), "mobilenet-v2");
  EXPECT_EQ(network_beside(table, "/members/one.yaml"), "/members/one.yaml");
  EXPECT_EQ(network_beside("measured.csv", "0 2 1"), "0 2 1");
  fs::remove_all(folder);
}

TEST(Measurements, SurviveCorruption) {
  const std::string good =
      read_file(std::string("experiments/measurements/mobilenetv4-table6.csv"));
  std::mt19937_64 random(4);
  for (int i = 0; i < 3000; ++i) {
    std::string text = good.substr(0, random() % good.size());
    for (uint64_t n = random() % 4; n > 0 && !text.empty(); --n) {
      text[random() % text.size()] = char(random());
    }
    try {
      read_measurements(text, "t.csv", "pixel6_cpu_ms");
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace ridgewalk
