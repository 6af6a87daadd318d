// What a search says that a network takes is what `describe --profile` says.
#include "space/yaml.h"
#include "tests/experiments/commands/program.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

// fp32, and everything that a plain roofline leaves out.
constexpr const char* kBoard = R"(name: board
data_type: fp32
effective:
  ridge_point: {value: 6.9, source: here}
  peak_gmacs: {value: 4.05, source: here}
terms:
  depthwise_cost: {value: 4.4, source: here}
  op_overhead_us: {value: 3, source: here}
  floor_ms: {value: 0.25, source: here}
  cache_kib: {value: 32, source: here}
  cache_gbps: {value: 11, source: here}
)";

TEST_F(Program, ASearchPricesAsDescribeDoes) {
  std::ofstream(folder_ + "/board.yaml") << kBoard;
  for (const std::string& profile : {folder_ + "/board.yaml", std::string("epyc-zen5-1-thread")}) {
    const std::string out = folder_ + "/priced-" + fs::path(profile).stem().string();
    const Outcome found =
        run({"search", "coarse", "--config", folder_ + "/config.yaml", "--targets",
             "{profile: " + profile + ", relative_to: compact-nano}", "--out", out});
    ASSERT_EQ(found.exit_code, 0) << found.err;
    const Outcome described =
        run({"describe", out + "/found.yaml", "--profile", profile, "--json"});
    ASSERT_EQ(described.exit_code, 0) << described.err;
    const auto latency = nlohmann::json::parse(described.out)["latency"];
    const double ms = latency.value("laws_ms", latency["total_ms"].get<double>());
    FieldReader result(parse_yaml(read(out + "/result.yaml"), "result.yaml"));
    const YAML::Node best = result.source().node["stages"]["coarse"]["best"];
    EXPECT_EQ(best["latency"][0]["latency_ms"].as<double>(), ms);
    char printed[32];
    std::snprintf(printed, sizeof printed, "(%.4g ms)", ms);
    EXPECT_THAT(found.out, HasSubstr(printed));

    const Outcome swept = run(
        {"sweep", out + "/found.yaml", "--profile", profile, "--out", folder_ + "/priced-sweep"});
    ASSERT_EQ(swept.exit_code, 0) << swept.err;
    const std::string csv = read(folder_ + "/priced-sweep/profiles.csv");
    EXPECT_EQ(std::stod(csv.substr(csv.rfind(',') + 1)), ms);
  }
}

}  // namespace
}  // namespace ridgewalk
