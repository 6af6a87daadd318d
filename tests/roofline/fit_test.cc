#include "roofline/fit.h"

#include <filesystem>
#include <fstream>
#include <random>

#include "roofline/latency.h"
#include "roofline/measurements.h"
#include "space/catalog.h"
#include "space/decisions.h"
#include "space/file.h"
#include "space/lowering.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

std::vector<const Measured*> all(const std::vector<Measured>& networks) {
  std::vector<const Measured*> pointers;
  for (const Measured& network : networks) pointers.push_back(&network);
  return pointers;
}

NetworkWork work_of(const Architecture& architecture) {
  return network_work(architecture.name, lower(architecture), DataType::kInt8,
                      ByteConvention::kMnv4);
}

// The measurements of the MobileNetV4 paper's table 6 for the networks of the catalogue.
std::vector<Measured> table6(const std::string& column) {
  const std::string file = std::string("experiments/measurements/mobilenetv4-table6.csv");
  std::vector<Measured> networks;
  for (const Measurement& row : read_measurements(read_file(file), file, column).rows) {
    networks.push_back({work_of(find_architecture(row.network)), row.latency, row.network});
  }
  return networks;
}

std::vector<Architecture> members(int count, uint64_t seed) {
  const SearchSpace space = load_search_space("mobile");
  std::mt19937_64 random(seed);
  std::vector<Architecture> architectures;
  for (int i = 0; i < count; ++i) architectures.push_back(decode(space, sample(space, random)));
  return architectures;
}

// MobileNetV4, table 16: 31.2 and 39.7. An independent fit to the same networks, by least squares
// of logarithms, gives 29.2 and 32.9.
TEST(Fit, FindsThePapersRidgePointsOnCpus) {
  const double pixel6 = fit(all(table6("pixel6_cpu_ms")), {}).ridge_point.value;
  EXPECT_NEAR(pixel6, 31.2, 3.12);
  EXPECT_NEAR(pixel6, 29.2, 1);
  const double s23 = fit(all(table6("s23_cpu_ms")), {}).ridge_point.value;
  EXPECT_NEAR(s23, 39.7, 7.94);
  EXPECT_NEAR(s23, 32.9, 1);
}

TEST(Fit, PredictsThePixel6WithinTwentyPercentFromOneConstant) {
  const std::vector<Measured> networks = table6("pixel6_cpu_ms");
  const Fit fitted = fit(all(networks), {}, MacsPerByte{31.2});
  EXPECT_EQ(fitted.ridge_point.value, 31.2);
  for (const Measured& network : networks) {
    EXPECT_NEAR(fitted.predict(network.work) / network.latency, 1, 0.2) << network.work.name;
  }
}

TEST(Fit, SaysThatTheAcceleratorsDoNotDetermineTheRidgePoint) {
  EXPECT_TRUE(ridge_certainty(table6("pixel6_cpu_ms"), {}, 1).is_determined);
  EXPECT_TRUE(ridge_certainty(table6("s23_cpu_ms"), {}, 1).is_determined);
  EXPECT_FALSE(ridge_certainty(table6("pixel4_hexagon_ms"), {}, 1).is_determined);
  EXPECT_FALSE(ridge_certainty(table6("pixel8_edgetpu_ms"), {}, 1).is_determined);
}

// The EdgeTPU's smallest networks all take 0.7 ms: a floor explains them, a roofline cannot.
TEST(Fit, FindsTheFloorOfTheEdgeTpu) {
  const std::vector<Measured> networks = table6("pixel8_edgetpu_ms");
  const auto mean_error = [&](const FitTerms& terms) {
    const Fit fitted = fit(all(networks), terms);
    double sum = 0;
    for (const Measured& network : networks) {
      sum += std::abs(fitted.predict(network.work) / network.latency - 1);
    }
    return sum / double(networks.size());
  };
  EXPECT_LT(mean_error({.floor = true}), 0.5 * mean_error({}));
  const double floor = fit(all(networks), {.floor = true}).floor.value;
  EXPECT_GT(floor, 0.3e-3);
  EXPECT_LT(floor, 0.7e-3);
}

// Latencies of a known machine give that machine back, term by term, where dense ops wait for
// memory and depthwise ones do not: elsewhere the terms cannot be told apart.
TEST(Fit, RecoversAKnownMachine) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int round = 0; round < 6; ++round) {
    const Fit truth{.ridge_point = {20 + 20 * uniform(random)},
                    .seconds_per_mac = 1e-11 * (1 + uniform(random)),
                    .depthwise_cost = round % 2 == 0 ? 1 : 10 + 10 * uniform(random),
                    .op_overhead = {round % 3 == 0 ? 0 : 2e-5 * uniform(random)},
                    .floor = {round % 3 == 1 ? 0 : 1e-3 * uniform(random)}};
    std::vector<Measured> networks;
    for (const Architecture& architecture : members(40, 100 + uint64_t(round))) {
      NetworkWork work = work_of(architecture);
      const Seconds latency = truth.predict(work);
      networks.push_back({std::move(work), latency, std::to_string(networks.size())});
    }
    const Fit found =
        fit(all(networks), {.depthwise_cost = round % 2 == 1, .op_overhead = true, .floor = true});
    EXPECT_NEAR(found.ridge_point.value / truth.ridge_point.value, 1, 0.02);
    EXPECT_NEAR(found.seconds_per_mac / truth.seconds_per_mac, 1, 0.02);
    EXPECT_NEAR(found.depthwise_cost / truth.depthwise_cost, 1, 0.03);
    for (const Measured& network : networks) {
      EXPECT_NEAR(found.predict(network.work) / network.latency, 1, 0.005);
    }
  }
}

TEST(Fit, NeedsAsManyNetworksAsFigures) {
  std::vector<Measured> networks = table6("pixel6_cpu_ms");
  networks.resize(1);
  EXPECT_THAT(error_of([&] { fit(all(networks), {}); }), testing::HasSubstr("there are 1"));
  const std::vector<Measured> repeated(20, networks[0]);
  EXPECT_THAT(error_of([&] { fit(all(repeated), {}); }), testing::HasSubstr("there are 1"));
}

// Every row `times` times, with about 1 % of noise.
std::vector<Measured> repeated(const std::vector<Measured>& networks, int times) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> noise(0.99, 1.01);
  std::vector<Measured> rows;
  for (int i = 0; i < times; ++i) {
    for (Measured row : networks) {
      row.latency = {row.latency.value * noise(random)};
      rows.push_back(row);
    }
  }
  return rows;
}

// Twenty measurements of eleven networks are eleven networks: they leave the ridge point as open as
// one measurement of each does.
TEST(RidgeCertainty, CountsNetworksNotRows) {
  EXPECT_FALSE(ridge_certainty(repeated(table6("pixel8_edgetpu_ms"), 20), {}, 0).is_determined);
  const std::vector<Measured> once = table6("pixel6_cpu_ms");
  const RidgeCertainty of_once = ridge_certainty(once, {}, 0);
  const RidgeCertainty of_many = ridge_certainty(repeated(once, 20), {}, 0);
  ASSERT_TRUE(of_once.interval && of_many.interval);
  EXPECT_NEAR(of_many.interval->low / of_once.interval->low, 1, 0.02);
  EXPECT_NEAR(of_many.interval->high / of_once.interval->high, 1, 0.02);
}

TEST(RidgeCertainty, OfFewNetworksIsNone) {
  std::vector<Measured> networks = table6("pixel6_cpu_ms");
  networks.resize(7);
  const RidgeCertainty certainty = ridge_certainty(networks, {}, 0);
  EXPECT_FALSE(certainty.interval);
  EXPECT_FALSE(certainty.is_determined);
}

// Latencies of a machine without noise: every resample gives its ridge point, and no interval
// claims that the next network would too.
TEST(RidgeCertainty, OfExactLatenciesHasNoWidthToPrint) {
  const Fit machine{.ridge_point = {30}, .seconds_per_mac = 1e-11};
  std::vector<Measured> networks = table6("pixel6_cpu_ms");
  for (Measured& network : networks) network.latency = machine.predict(network.work);
  const RidgeCertainty certainty = ridge_certainty(networks, {}, 0);
  EXPECT_TRUE(certainty.is_determined);
  EXPECT_FALSE(certainty.interval &&
               four_digits(certainty.interval->low) == four_digits(certainty.interval->high));
}

// A network that is not in the fit must not influence its own prediction.
TEST(CrossValidate, PredictsWhatItHasNotSeen) {
  std::vector<Measured> networks = table6("pixel6_cpu_ms");
  const double before = cross_validate(networks, {}, std::nullopt, 1).roofline[3];
  networks[3].latency = {networks[3].latency.value * 10};
  EXPECT_EQ(cross_validate(networks, {}, std::nullopt, 1).roofline[3], before);
}

// All rows of a network are held out together: changing every one of them changes none of their
// predictions.
TEST(CrossValidate, HoldsOutAllRowsOfANetwork) {
  std::vector<Measured> rows = repeated(table6("pixel6_cpu_ms"), 8);  // 88 rows
  const size_t networks = rows.size() / 8;
  const HeldOut before = cross_validate(rows, {}, std::nullopt, 1);
  for (size_t row = 3; row < rows.size(); row += networks) rows[row].latency.value *= 10;
  const HeldOut after = cross_validate(rows, {}, std::nullopt, 1);
  for (size_t row = 3; row < rows.size(); row += networks) {
    EXPECT_EQ(after.roofline[row], before.roofline[row]);
    EXPECT_EQ(after.baselines[0][row], before.baselines[0][row]);
  }
  EXPECT_NE(after.roofline[4], before.roofline[4]);
}

TEST(CrossValidate, NeedsOneNetworkMoreThanFigures) {
  std::vector<Measured> networks = table6("pixel6_cpu_ms");
  networks.resize(2);
  EXPECT_THAT(error_of([&] { cross_validate(networks, {}, std::nullopt, 1); }),
              testing::HasSubstr("needs at least 3 networks; there are 2"));
}

TEST(CrossValidate, BeatsMacCountingOnThePixel6) {
  const std::vector<Measured> networks = table6("pixel6_cpu_ms");
  const HeldOut held_out = cross_validate(networks, {}, std::nullopt, 1);
  std::vector<double> measured;
  for (const Measured& network : networks) measured.push_back(network.latency.value);
  EXPECT_LT(agreement(held_out.roofline, measured).mean_error,
            0.5 * agreement(held_out.baselines[0], measured).mean_error);
}

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
      {"# c\nnetwork,batch,a_ms\nx,8,1\n", "t.csv:2: unknown column 'batch'; known are network"},
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
