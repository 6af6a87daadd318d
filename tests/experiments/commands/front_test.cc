// The networks worth having of one supernet.
#include <yaml-cpp/yaml.h>

#include "experiments/run/target_config.h"
#include "roofline/latency.h"
#include "space/catalog.h"
#include "space/lowering.h"
#include "tests/experiments/commands/evidence.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

class Front : public Evidence {};

TEST_F(Front, EmitsTheNetworksOfEverySet) {
  const std::string out = folder_ + "/front";
  const std::vector<std::string> command{"front",         supernet_,      "--out",         out,
                                         "--relative-to", "compact-nano", "--evaluations", "24",
                                         "--ridge",       "0,500"};
  const Outcome outcome = run(command);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const YAML::Node fronts = YAML::LoadFile(out + "/front.yaml")["fronts"];
  ASSERT_EQ(fronts.size(), 3u);
  EXPECT_EQ(fronts[2]["target"].as<std::string>(), "worst of ridge points 0 to 500");
  for (const YAML::Node& front : fronts) {
    double ratio = 0, accuracy = -1;
    for (const YAML::Node& network : front["networks"]) {
      EXPECT_GT(network["of_target"].as<double>(), ratio);
      EXPECT_GT(network["accuracy"].as<double>(), accuracy);
      ratio = network["of_target"].as<double>();
      accuracy = network["accuracy"].as<double>();
      EXPECT_EQ(network["weights"].as<std::string>(), "shared");
    }
  }
  std::vector<std::string> by_mean = command;
  by_mean.insert(by_mean.end(), {"--reduce", "best"});
  expect_refused(by_mean, {"--reduce: no reduction of a range is named"});
  by_mean[3] = folder_ + "/front-mean";
  by_mean.back() = "mean";
  ASSERT_EQ(run(by_mean).exit_code, 0);
  const YAML::Node set = YAML::LoadFile(by_mean[3] + "/front.yaml")["fronts"][2];
  EXPECT_EQ(set["target"].as<std::string>(), "mean of ridge points 0 to 500");
  const Graph reference =
      lower(for_space(find_architecture("compact-nano"), load_search_space("fashion-mnist")));
  for (const YAML::Node& network : set["networks"]) {
    const Graph found =
        lower(find_architecture(by_mean[3] + "/" + network["architecture"].as<std::string>()));
    double sum = 0;
    for (MacsPerByte point : spread_ridge_points(0, 500, 32)) {
      sum += latency(found, point).value / latency(reference, point).value;
    }
    EXPECT_NEAR(network["of_target"].as<double>(), sum / 32, 1e-9);
  }
  const std::string network = fronts[0]["networks"][0]["architecture"].as<std::string>();
  EXPECT_EQ(run({"describe", out + "/" + network}).exit_code, 0);
  EXPECT_TRUE(fs::exists(out + "/report.html"));

  std::vector<std::string> again = command;
  again[3] = folder_ + "/front-again";
  run_with_kills(again, again[3]);
  EXPECT_EQ(read(out + "/front.yaml"), read(again[3] + "/front.yaml"));
  expect_refused({"front", supernet_, "--out", folder_ + "/x", "--range", "0:x"}, {"--range"});
}

// Limits of the run that the supernet is of.
TEST_F(Front, KeepsToTheLimitsOfItsRun) {
  const std::string limited = folder_ + "/limited", out = folder_ + "/limited-front";
  const auto with_limit = [&](const std::string& kib) {
    fs::remove_all(limited);
    fs::copy(supernet_, limited, fs::copy_options::recursive);
    std::string text = read(limited + "/config.yaml");
    const size_t at = text.find("targets:");
    text.replace(at, text.find("reward:") - at,
                 "targets: [{ridge: [0, 500], relative_to: compact-nano, points: 16}, "
                 "{peak_memory_kib: " +
                     kib + ", limit: true}]\n");
    std::ofstream(limited + "/config.yaml") << text;
  };
  with_limit("16");  // the space has 12.25 to 30.6
  const Outcome outcome = run({"front", limited, "--out", out, "--evaluations", "20"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("at most: peak memory (16 KiB)\n"));
  const YAML::Node result = YAML::LoadFile(out + "/front.yaml");
  EXPECT_EQ(result["limits"][0]["peak_memory_kib"].as<double>(), 16);
  ASSERT_EQ(result["fronts"].size(), 4u);
  for (const YAML::Node& front : result["fronts"]) {
    ASSERT_GT(front["networks"].size(), 0u);
    for (const YAML::Node& network : front["networks"]) {
      EXPECT_TRUE(network["within_limits"].as<bool>());
      EXPECT_EQ(network["of_targets"].size(), 4u);
      const Outcome described =
          run({"describe", out + "/" + network["architecture"].as<std::string>(), "--json"});
      const double bytes = nlohmann::json::parse(described.out)["peak_memory_bytes"];
      EXPECT_LE(bytes, 16 * 1024);
      EXPECT_NEAR(network["of_limits"][0]["share"].as<double>(), bytes / (16 * 1024), 1e-9);
    }
  }
  EXPECT_THAT(read(out + "/report.html"), HasSubstr("\"peak_memory_kib\":16.0"));
  with_limit("0.5");
  expect_refused({"front", limited, "--out", folder_ + "/x"},
                 {limited, "within all limits", "search with wider limits"});
  EXPECT_FALSE(fs::exists(folder_ + "/x"));
}

}  // namespace
}  // namespace ridgewalk
