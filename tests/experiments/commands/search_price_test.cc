// What a search says that a network takes is what `describe --profile` says.
#include <set>

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

// Of a datasheet alone: its files say so.
constexpr const char* kDatasheet = R"(name: datasheet
data_type: int8
peak_gmacs: {int8: {value: 100, source: here}}
bandwidth_gbps: {value: 10, source: here}
)";

TEST_F(Program, FilesSayWhatIsAGuess) {
  std::ofstream(folder_ + "/datasheet.yaml") << kDatasheet;
  std::ofstream(folder_ + "/measured.yaml") << kBoard;
  for (const bool is_guess : {true, false}) {
    const std::string name = is_guess ? "datasheet" : "measured";
    const std::string profile = folder_ + "/" + name + ".yaml", out = folder_ + "/guess-" + name;
    const Outcome found =
        run({"search", "coarse", "--config", folder_ + "/config.yaml", "--targets",
             "{profile: " + profile + ", relative_to: compact-nano}", "--out", out});
    ASSERT_EQ(found.exit_code, 0) << found.err;
    FieldReader result(parse_yaml(read(out + "/result.yaml"), "result.yaml"));
    const YAML::Node stage = result.source().node["stages"]["coarse"];
    for (const YAML::Node& says :
         {stage["targets"][0], stage["best"]["latency"][0], stage["candidates"][0]["latency"][0]}) {
      EXPECT_EQ(says["is_guess"].as<bool>(false), is_guess);
    }
    const Outcome swept =
        run({"sweep", "compact-nano", "--profile", profile, "--out", out + "-sweep"});
    ASSERT_EQ(swept.exit_code, 0) << swept.err;
    EXPECT_THAT(read(out + "-sweep/profiles.csv"),
                HasSubstr(is_guess ? "compact-nano,datasheet,true," : "compact-nano,board,false,"));
  }
}

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

// Limits on memory and weights beside a latency, in both stages and by the other methods: what is
// found keeps them, and result.yaml states what describe counts.
TEST_F(Program, ASearchKeepsWithinMemoryAndFlash) {
  const std::string targets =
      "[{profile: stm32h747, latency_ms: 20}, {peak_memory_kib: 24, limit: true}, "
      "{weights_mib: 0.2, limit: true}]";
  const auto check = [&](const std::string& stage, const std::string& config,
                         const std::string& from) {
    const std::string out = folder_ + "/limited-" + stage + config;
    std::vector<std::string> words{"search",    stage,   "--config", folder_ + "/" + config,
                                   "--targets", targets, "--out",    out};
    if (!from.empty()) words.insert(words.end(), {"--from", from});
    const Outcome found = run(words);
    ASSERT_EQ(found.exit_code, 0) << found.err;
    EXPECT_THAT(found.out, HasSubstr("of limit peak memory ("));
    const Outcome described = run({"describe", out + "/found.yaml", "--json"});
    const auto json = nlohmann::json::parse(described.out);
    EXPECT_LE(json["peak_memory_bytes"].get<double>(), 24 * 1024);
    EXPECT_LE(json["weight_memory_bytes"].get<double>(), 0.2 * 1024 * 1024);
    FieldReader result(parse_yaml(read(out + "/result.yaml"), "result.yaml"));
    const YAML::Node best = result.source().node["stages"][stage]["best"]["latency"];
    EXPECT_EQ(best[1]["peak_memory_kib"].as<double>() * 1024, json["peak_memory_bytes"]);
    EXPECT_NEAR(best[2]["weights_mib"].as<double>() * 1024 * 1024,
                json["weight_memory_bytes"].get<double>(), 1e-6);
  };
  check("coarse", "config.yaml", "");
  check("fine", "config.yaml", folder_ + "/limited-coarseconfig.yaml");
  for (const std::string method : {"random", "evolution"}) {
    std::ofstream(folder_ + "/" + method + ".yaml")
        << config("factor: 0.15", "single: {method: " + method +
                                      ", steps: 4, samples_per_step: 2, evaluations: 6, "
                                      "tolerance: 0.3}\n");
    check("single", method + ".yaml", "");
  }
}

// The narrowest mnv4-conv-large stores 226 KiB of weights: the reference is marked everywhere, and
// what was found and the random network keep the limit.
TEST_F(Program, ANetworkAboveALimitIsMarked) {
  const std::string out = folder_ + "/above", path = folder_ + "/above.yaml";
  std::ofstream(path) << config("factor: 0.15", "reference: mnv4-conv-large\n");
  const Outcome found = run({"search", "all", "--config", path, "--targets",
                             "{weights_mib: 0.2, limit: true}", "--out", out});
  ASSERT_EQ(found.exit_code, 0) << found.err;
  EXPECT_THAT(found.out, testing::ContainsRegex(
                             "\nmnv4-conv-large@0.05 .*  above weights \\(1.1[0-9]* times\\)\n"));
  EXPECT_THAT(read(out + "/report.html"), HasSubstr("\"excess\":\"above weights (1.1"));
  FieldReader result(parse_yaml(read(out + "/result.yaml"), "result.yaml"));
  const YAML::Node root = result.source().node;
  for (const char* stage : {"coarse", "fine", "hybrid"}) {
    EXPECT_TRUE(root["stages"][stage]["best"]["within_limits"].as<bool>());
  }
  ASSERT_EQ(root["networks"].size(), 4u);
  for (const YAML::Node& network : root["networks"]) {
    const Outcome described =
        run({"describe", out + "/" + network["architecture"].as<std::string>(), "--json"});
    const double bytes = nlohmann::json::parse(described.out)["weight_memory_bytes"];
    const double share = bytes / (0.2 * 1024 * 1024);
    EXPECT_NEAR(network["of_limits"][0]["share"].as<double>(), share, 1e-9);
    EXPECT_EQ(network["within_limits"].as<bool>(), share <= 1);
    EXPECT_EQ(share > 1, network["kind"].as<std::string>() == "reference");
  }
}

// One search chooses resolution against width and depth: images are resized in the batch, and each
// network is priced at its own.
TEST_F(Program, ASearchChoosesTheResolution) {
  const std::string out = folder_ + "/resolutions", path = folder_ + "/resolutions.yaml";
  std::ofstream(path) << config("factor: 0.08", "resolution: [14, 20, 28]\n");
  const Outcome found = run({"search", "coarse", "--config", path, "--out", out});
  ASSERT_EQ(found.exit_code, 0) << found.err;
  std::set<int> sampled;
  std::ifstream log(out + "/log.jsonl");
  for (std::string line; std::getline(log, line);) {
    const auto record = nlohmann::json::parse(line);
    for (const auto& sample : record["samples"]) sampled.insert(int(sample[0]));
  }
  EXPECT_EQ(sampled, (std::set<int>{0, 1, 2}));
  FieldReader result(parse_yaml(read(out + "/result.yaml"), "result.yaml"));
  const YAML::Node stage = result.source().node["stages"]["coarse"];
  EXPECT_EQ(stage["choices"][0]["name"].as<std::string>(), "resolution");
  const Outcome described =
      run({"describe", out + "/found.yaml", "--profile", "pixel6-cpu", "--json"});
  const auto json = nlohmann::json::parse(described.out);
  const std::map<int, int> resolutions = {{0, 14}, {1, 20}, {2, 28}};
  EXPECT_EQ(json["resolution"], resolutions.at(stage["best"]["decisions"][0].as<int>()));
  EXPECT_EQ(stage["best"]["latency"][0]["latency_ms"].as<double>(), json["latency"]["total_ms"]);
}

// The networks are timed beside what the laws say, of another machine here.
TEST_F(Program, ASearchMeasuresWhatItFound) {
  const std::string out = folder_ + "/measured-search";
  std::vector<std::string> words{
      "search",    "coarse",
      "--config",  folder_ + "/config.yaml",
      "--targets", "{profile: epyc-zen5-1-thread, relative_to: compact-nano}",
      "--measure", "--recalibrate",
      "3",         "--out",
      out};
  const Outcome found = run(words);
  ASSERT_EQ(found.exit_code, 0) << found.err;
  EXPECT_THAT(found.out, HasSubstr("predicted ms"));
  EXPECT_THAT(found.err, HasSubstr("3 networks near the optimum"));
  FieldReader result(parse_yaml(read(out + "/result.yaml"), "result.yaml"));
  const YAML::Node measured = result.source().node["measured"];
  ASSERT_EQ(measured["networks"].size(), 3u);
  EXPECT_EQ(measured["networks"][0]["name"].as<std::string>(), "found");
  EXPECT_EQ(measured["networks"][2]["name"].as<std::string>(), "random");
  const YAML::Node recalibration = result.source().node["stages"]["coarse"]["recalibration"];
  const double factor = recalibration["factor"].as<double>();
  EXPECT_LE(recalibration["error_after"].as<double>(), recalibration["error_before"].as<double>());
  // What is predicted for the found network are the corrected laws.
  const Outcome described =
      run({"describe", out + "/found.yaml", "--profile", "epyc-zen5-1-thread", "--json"});
  const double laws = nlohmann::json::parse(described.out)["latency"]["laws_ms"];
  EXPECT_NEAR(measured["networks"][0]["predicted_ms"].as<double>(), factor * laws, 1e-6 * laws);
  for (const YAML::Node& network : measured["networks"]) {
    EXPECT_GT(network["measured_ms"].as<double>(), 0);
  }
  EXPECT_THAT(read(out + "/report.html"), HasSubstr("\"measured\":{\"profile\""));
  // A finished run is not measured again, and keeps what was measured.
  const std::string before = read(out + "/result.yaml");
  words.push_back("--resume");
  ASSERT_EQ(run(words).exit_code, 0);
  EXPECT_EQ(read(out + "/result.yaml"), before);
  std::erase(words, "--measure");
  const Outcome resumed = run(words);
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(read(out + "/result.yaml"), before);
  EXPECT_THAT(resumed.out, HasSubstr("predicted ms"));
}

// As `search all` goes on where its coarse stage has missed the target.
TEST_F(Program, AStageStartsFromAResultThatMissesTheTarget) {
  const std::string coarse = folder_ + "/missing", fine = folder_ + "/missing-fine";
  const std::string config = folder_ + "/config.yaml";
  ASSERT_EQ(run({"search", "coarse", "--config", config, "--out", coarse}).exit_code, 0);
  for (const std::string method : {"tunas", "random"}) {
    const Outcome found =
        run({"search", "fine", "--config", config, "--from", coarse, "--out", fine + method,
             "--targets", "{ridge_point: 5, latency_macs: 1000}", "--method", method});
    EXPECT_EQ(found.exit_code, 0) << found.err;
    EXPECT_THAT(found.err, HasSubstr("takes that long"));
    EXPECT_THAT(found.err, HasSubstr("goes as near as it can"));
  }
}

// A run that starts from one whose laws were corrected goes on with these, and so does a ranking of
// it: by a factor of 0.875, written into the result here.
TEST_F(Program, CorrectedLawsFollowARun) {
  const std::string coarse = folder_ + "/corrected", fine = folder_ + "/corrected-fine";
  const std::vector<std::string> options{"--config", folder_ + "/config.yaml", "--targets",
                                         "{profile: epyc-zen5-1-thread, latency_ms: 0.1}"};
  const auto searched = [&](std::vector<std::string> words) {
    words.insert(words.end(), options.begin(), options.end());
    return run(words);
  };
  ASSERT_EQ(searched({"search", "coarse", "--out", coarse}).exit_code, 0);
  const std::string original = read(coarse + "/result.yaml");
  std::string result = original;
  const std::string stage = "  coarse:\n";
  ASSERT_THAT(result, HasSubstr(stage));
  result.insert(result.find(stage) + stage.size(), "    law_factor: 0.875\n");
  std::ofstream(coarse + "/result.yaml") << result;
  const Outcome found = searched({"search", "fine", "--from", coarse, "--out", fine});
  ASSERT_EQ(found.exit_code, 0) << found.err;
  // It is not resumed by other laws.
  std::ofstream(coarse + "/result.yaml") << original;
  const Outcome other = searched({"search", "fine", "--from", coarse, "--out", fine, "--resume"});
  EXPECT_EQ(other.exit_code, 2) << other.err;

  const auto laws_ms = [&](const std::string& network) {
    const Outcome described =
        run({"describe", network, "--profile", "epyc-zen5-1-thread", "--json"});
    return nlohmann::json::parse(described.out)["latency"]["laws_ms"].get<double>();
  };
  FieldReader fine_result(parse_yaml(read(fine + "/result.yaml"), "result.yaml"));
  const YAML::Node of_stage = fine_result.source().node["stages"]["fine"];
  EXPECT_EQ(of_stage["law_factor"].as<double>(), 0.875);
  const double own = laws_ms(fine + "/found.yaml");
  EXPECT_NEAR(of_stage["best"]["latency"][0]["latency_ms"].as<double>(), 0.875 * own, 1e-6 * own);

  const std::string out = folder_ + "/corrected-rank";
  const Outcome ranked = run({"rank", fine, "--networks", "3", "--tolerance", "10", "--out", out});
  ASSERT_EQ(ranked.exit_code, 0) << ranked.err;
  std::ifstream csv(out + "/rank.csv");
  std::string line, header;
  ASSERT_TRUE(std::getline(csv, header));
  EXPECT_THAT(header, testing::StartsWith("network,parameters,macs,of_target,"));
  for (int row = 0; row < 3; ++row) {
    ASSERT_TRUE(std::getline(csv, line));
    std::istringstream cells(line);
    std::string name, parameters, macs, of_target;
    std::getline(
        std::getline(std::getline(std::getline(cells, name, ','), parameters, ','), macs, ','),
        of_target, ',');
    const double ms = laws_ms(out + "/" + name + ".yaml");
    EXPECT_NEAR(std::stod(of_target), 0.875 * ms / 0.1, 1e-4 * ms);
  }
}

TEST_F(Program, ASearchRefusesToMeasureWhatHasNoLaws) {
  const auto refuse = [&](const std::string& target, const std::string& option,
                          const std::vector<std::string>& says) {
    std::vector<std::string> refused{"search",    "coarse", "--config", folder_ + "/config.yaml",
                                     "--targets", target,   "--out",    folder_ + "/refused"};
    refused.push_back(option);
    if (option == "--recalibrate") refused.push_back("3");
    expect_refused(refused, says);
  };
  refuse("{profile: pixel6-cpu, relative_to: compact-nano}", "--measure",
         {"--measure holds", "ridgewalk calibrate"});
  refuse("{ridge_point: 3, relative_to: compact-nano}", "--recalibrate", {"--recalibrate holds"});
  refuse("{profile: epyc-zen5-1-thread, latency_ms: 1, batch: 8}", "--measure",
         {"--measure holds measurements of single images", "without `batch`"});
  EXPECT_FALSE(fs::exists(folder_ + "/refused"));
}

}  // namespace
}  // namespace ridgewalk
