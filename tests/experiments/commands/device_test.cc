// Networks on devices: measured here, or fitted to measurements.
#include <random>

#include "roofline/cost.h"
#include "roofline/latency.h"
#include "roofline/profile.h"
#include "space/catalog.h"
#include "space/decisions.h"
#include "space/lowering.h"
#include "tests/experiments/commands/program.h"

namespace ridgewalk {
namespace {

TEST_F(Program, MeasuresNetworks) {
  const std::vector<std::string> quick{"--repeats", "2", "--seconds", "0.01", "--json"};
  const auto bench = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "bench");
    words.insert(words.end(), quick.begin(), quick.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  const auto nano = bench({"compact-nano", "--ops", "--batch", "2", "--threads", "1"});
  EXPECT_GT(nano.at("latency_ms"), 0);
  EXPECT_GE(nano.at("spread"), 0);
  EXPECT_EQ(nano.at("threads"), 1);
  EXPECT_EQ(nano.at("precision"), "fp32");
  int64_t macs = 0;
  for (const auto& op : nano.at("ops")) {
    EXPECT_GE(op.at("latency_ms"), 0);
    EXPECT_NE(op.at("kernel"), "");
    macs += op.at("macs").get<int64_t>();
  }
  const auto described = run({"describe", "compact-nano", "--json"});
  EXPECT_EQ(macs, 2 * nlohmann::json::parse(described.out).at("macs").get<int64_t>());
  const auto two = bench({"compact-nano", "mobilenet-v3-large", "--resolution", "64"});
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[1].at("resolution"), 64);
  EXPECT_FALSE(two[1].contains("ops"));
}

// Eleven networks measured twenty times each are eleven networks, of which none is held out while
// another of its rows is fitted.
TEST_F(Program, FitsNetworksNotRows) {
  const std::vector<std::pair<std::string, double>> edgetpu = {
      {"mobilenet-v2-050", 0.7},       {"mobilenet-v3-large-050", 0.8}, {"mobilenet-v2", 0.9},
      {"mobilenet-v3-large", 0.9},     {"mnv4-conv-small", 0.7},        {"mobilenet-v1", 0.9},
      {"mobilenet-v3-large-150", 1.5}, {"mnv4-conv-medium", 1.1},       {"mnv4-hybrid-medium", 2.2},
      {"mobilenet-v2-150", 1.2}};
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> noise(0.99, 1.01);
  const auto write_table = [&](const std::string& name, int times) {
    std::ofstream table(folder_ + "/" + name);
    table << "\xEF\xBB\xBFnetwork,a_ms\r\n";
    for (int i = 0; i < times; ++i) {
      for (const auto& [network, ms] : edgetpu) {
        table << network << "," << ms * noise(random) << "\r\n";
      }
    }
    return folder_ + "/" + name;
  };
  const auto fitted = [&](const std::string& table) {
    const Outcome outcome = run({"fit", table, "--json"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  const auto once = fitted(write_table("once.csv", 1));
  const auto many = fitted(write_table("many.csv", 20));
  EXPECT_EQ(many.at("networks").size(), edgetpu.size());
  EXPECT_FALSE(once.at("ridge_point_is_determined"));
  EXPECT_FALSE(many.at("ridge_point_is_determined"));
  EXPECT_NEAR(many.at("held_out").at("roofline").at("mean_error").at("value").get<double>(),
              once.at("held_out").at("roofline").at("mean_error").at("value").get<double>(), 0.05);
  EXPECT_THAT(many.at("warnings").dump(), testing::HasSubstr("190 rows measure a network again"));
  expect_refused({"fit", folder_ + "/once.csv", "--test", folder_ + "/many.csv"},
                 {"many.csv", "0 of 10 networks that were not fitted"});
  std::ofstream(folder_ + "/two.csv") << "network,a_ms\nmnv4-conv-small,1\nmobilenet-v2,2\n";
  expect_refused({"fit", folder_ + "/two.csv"}, {"at least 3 networks", "there are 2"});
  std::ofstream(folder_ + "/equal.csv")
      << "network,a_ms\nmnv4-conv-small,1\nmobilenet-v2,1\nmobilenet-v1,1\n";
  const Outcome equal = run({"fit", folder_ + "/equal.csv"});
  EXPECT_EQ(equal.exit_code, 0) << equal.err;
  EXPECT_THAT(equal.out, testing::Not(testing::HasSubstr("nan")));
}

// Eight networks with nine heads each are eight networks in all that is said.
TEST_F(Program, FitSpeaksOfNetworksWhateverTheirHeads) {
  const std::string path = folder_ + "/heads.csv", test = folder_ + "/other-heads.csv",
                    profile = folder_ + "/heads.yaml";
  const auto write_table = [](const std::string& file, const std::vector<std::string>& networks) {
    std::ofstream table(file);
    table << "network,classes,a_ms\n";
    for (size_t i = 0; i < networks.size(); ++i) {
      for (int classes = 10; classes < 100; classes += 10) {
        table << networks[i] << "," << classes << "," << 1 + 0.3 * double(i) + 1e-4 * classes
              << "\n";
      }
    }
  };
  write_table(path,
              {"mobilenet-v2-050", "mobilenet-v3-large-050", "mobilenet-v2", "mobilenet-v1",
               "mnv4-conv-small", "mobilenet-v3-large", "mnv4-conv-medium", "mobilenet-v2-150"});
  write_table(test, {"mobilenet-v1", "compact-nano", "mnv4-hybrid-medium"});
  const Outcome outcome = run({"fit", path, "--out", profile, "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json.at("networks").size(), 72u);
  EXPECT_EQ(json.at("protocol"), "each network predicted by a fit of the others");
  EXPECT_THAT(load_profile(profile).description, testing::HasSubstr("to 8 networks of"));
  const Outcome held_out = run({"fit", path, "--test", test});
  ASSERT_EQ(held_out.exit_code, 0) << held_out.err;
  EXPECT_THAT(held_out.out, testing::HasSubstr("fitted on 8 networks, predicted 2 others"));
  EXPECT_THAT(held_out.out, testing::HasSubstr("1 networks of the test table were left out"));
  write_table(test, {"mobilenet-v1", "compact-nano"});
  expect_refused({"fit", path, "--test", test}, {"has 1 of 2 networks that were not fitted"});
}

TEST_F(Program, FitsADeviceAndPredictsWithIt) {
  const std::string table = "experiments/measurements/mobilenetv4-table6.csv";
  const std::string profile = folder_ + "/phone.yaml";
  const Outcome outcome =
      run({"fit", table, "--latency", "pixel6_cpu_ms", "--out", profile, "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json.at("networks").size(), 11u);
  EXPECT_NEAR(json.at("fit").at("ridge_point"), 31.2, 3.2);
  EXPECT_TRUE(json.at("ridge_point_is_determined"));
  EXPECT_TRUE(json.at("held_out").at("a constant").at("spearman").is_null());
  EXPECT_EQ(json.at("held_out").size(), 5u);
  EXPECT_EQ(load_profile(profile).ridge_point().value, json.at("fit").at("ridge_point"));
  std::ofstream(folder_ + "/bad.csv") << "network,a_ms\nmnv4-conv-smal,1\n";
  expect_refused({"fit", folder_ + "/bad.csv"}, {"bad.csv:2", "mnv4-conv-smal"});
  expect_refused({"fit", table}, {"--latency"});
  expect_refused({"fit", table, "--latency", "pixel6_cpu_ms", "--terms", "magic"}, {"magic"});
  expect_refused({"fit", table, "--latency", "pixel6_cpu_ms", "--bytes", "all"},
                 {"--bytes", "'all'"});
}

// As a GPU at batch 1: each op takes 20 us, and larger ones no longer. The best model is kept.
TEST_F(Program, FitKeepsAnOverheadAlone) {
  std::ofstream table(folder_ + "/gpu.csv");
  table << "network,a_ms\n";
  for (const char* name : {"mobilenet-v1", "mobilenet-v2", "mobilenet-v3-large", "mnv4-conv-small",
                           "mnv4-conv-medium", "mnv4-conv-large"}) {
    const std::vector<OpCost> costs = op_costs(lower(find_architecture(name)));
    double ops = 0, gmacs = 0;
    for (const OpCost& cost : costs) ops += cost.macs.value > 0, gmacs += 1e-9 * cost.macs.value;
    table << name << "," << 0.02 * ops - 1e-3 * gmacs << "\n";
  }
  table.close();
  const std::string profile = folder_ + "/gpu.yaml";
  const Outcome outcome =
      run({"fit", folder_ + "/gpu.csv", "--terms", "overhead", "--out", profile});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(load_profile(profile).is_overhead_alone());
  EXPECT_NEAR(load_profile(profile).terms.op_overhead_us->value, 20, 0.5);
  const Outcome described = run({"describe", "mnv4-conv-small", "--profile", profile});
  EXPECT_THAT(described.out, HasSubstr("(overheads alone)"));
}

// No network was measured on it.
TEST_F(Program, DescribeMarksWhatADatasheetAloneSays) {
  const Outcome described = run({"describe", "mnv4-conv-small", "--profile", "pixel6-gpu"});
  EXPECT_THAT(described.out, HasSubstr("no network was measured"));
  EXPECT_THAT(described.out, HasSubstr("  latency         ~"));
}

TEST_F(Program, PredictsMillisecondsOnAProfile) {
  const auto described = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"describe", "mnv4-conv-small", "--json"});
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  // The paper measures 2.4 ms (table 6).
  const auto pixel6 = described({"--profile", "pixel6-cpu"}).at("latency");
  EXPECT_NEAR(pixel6.at("total_ms"), 2.4, 0.2 * 2.4);
  EXPECT_EQ(pixel6.at("total_ms"), pixel6.at("roofline_ms"));
  std::ofstream(folder_ + "/slow.yaml")
      << "name: slow\ndata_type: fp32\nridge_point: {value: 4, source: here}\n"
         "peak_gmacs: {fp32: {value: 10, source: here}}\n"
         "terms: {floor_ms: {value: 3, source: here}}\n";
  const auto slow = described({"--profile", folder_ + "/slow.yaml"});
  EXPECT_EQ(slow.at("data_type"), "fp32");
  EXPECT_EQ(slow.at("latency").at("floor_ms"), 3);
  EXPECT_GT(described({"--bytes", "aten"}).at("bytes"), described({}).at("bytes"));
  expect_refused({"describe", "mnv4-conv-small", "--profile", "pixel8-edgetpu"}, {"no peak"});
}

// The table of a space: its networks are rows of decisions.
TEST_F(Program, FitsDecisionsOfASpace) {
  const SearchSpace space = load_search_space("fashion-mnist");
  std::mt19937_64 random(1);
  std::ofstream table(folder_ + "/space.csv");
  table << "network,a_us\n";
  for (int i = 0; i < 20; ++i) {
    const Decisions decisions = sample(space, random);
    for (int decision : decisions) table << decision << ' ';
    table << ',' << latency(lower(decode(space, decisions)), {25}).value * 1e-5 << '\n';
  }
  table.close();
  const Outcome outcome =
      run({"fit", folder_ + "/space.csv", "--space", "fashion-mnist", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_NEAR(json.at("fit").at("ridge_point"), 25, 0.5);
  EXPECT_NEAR(json.at("fit").at("peak_gmacs"), 100, 1);
  std::ofstream(folder_ + "/bad.csv") << "network,a_us\n1 2 x,1\n";
  expect_refused({"fit", folder_ + "/bad.csv", "--space", "fashion-mnist"}, {"bad.csv:2"});
}

}  // namespace
}  // namespace ridgewalk
