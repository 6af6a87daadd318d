// What the program says of its own search: rank, front, compare.
#include <csignal>
#include <map>

#include <yaml-cpp/yaml.h>

#include "experiments/run/config.h"
#include "roofline/latency.h"
#include "space/catalog.h"
#include "space/lowering.h"
#include "tests/experiments/commands/program.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

class Evidence : public Program {
 protected:
  // One supernet for all tests, trained on uniform samples.
  static void SetUpTestSuite() {
    Program::SetUpTestSuite();
    std::ofstream(folder_ + "/single.yaml") << single_config();
    supernet_ = folder_ + "/single";
    ASSERT_EQ(run({"search", "single", "--config", folder_ + "/single.yaml", "--out", supernet_})
                  .exit_code,
              0);
  }

  static std::string single_config(const std::string& method = "random") {
    std::string text =
        config("factor: 0.15", "single: {steps: 24, samples_per_step: 2, method: " + method +
                                   ", evaluations: 12, tolerance: 0.2}\nrandom_tolerance: 0.2\n");
    const size_t at = text.find("targets:");
    text.replace(at, text.find("reward:") - at,
                 "targets: {ridge: [0, 500], relative_to: compact-nano, points: 16}\n");
    return text;
  }

  static std::vector<std::string> rank_five(const std::string& out) {
    return {"rank", supernet_, "--out", out, "--networks", "5", "--tolerance", "0.2"};
  }

  static std::vector<std::string> lines(const std::string& path) {
    std::vector<std::string> result;
    std::istringstream stream(read(path));
    for (std::string line; std::getline(stream, line);) result.push_back(line);
    return result;
  }

  // Kills the command again and again, later each time, and resumes it until it ends.
  static void run_with_kills(std::vector<std::string> arguments, const std::string& out) {
    for (int tries = 1; tries < 50; ++tries) {
      const pid_t child = start(arguments, "killed");
      usleep(700000 * unsigned(tries));
      kill(child, SIGKILL);
      const Outcome outcome = wait_for(child, "killed");
      if (outcome.exit_code == 0) return;
      ASSERT_EQ(outcome.exit_code, -1) << outcome.err;
      const bool begun = fs::exists(out + "/checkpoint.safetensors");
      if (begun && arguments.back() != "--resume") arguments.push_back("--resume");
    }
    FAIL() << "never ended";
  }

  static inline std::string supernet_;
};

TEST_F(Evidence, ASearchOverARangeOfRidgePointsNamesItAndItsRatio) {
  const YAML::Node result = YAML::LoadFile(supernet_ + "/result.yaml")["stages"]["single"];
  const YAML::Node latency = result["best"]["latency"];
  ASSERT_EQ(latency.size(), 1u);
  EXPECT_EQ(latency[0]["target"].as<std::string>(), "ridge points 0 to 500, worst");
  EXPECT_NEAR(latency[0]["of_target"].as<double>(), 1, 0.2);
  EXPECT_EQ(result["method"].as<std::string>(), "random");
  EXPECT_EQ(result["candidates"].size(), 12u);
  Architecture found = architecture_from_yaml(result["architecture"].as<std::string>(), "result");
  found.name = "found";
  EXPECT_EQ(read(supernet_ + "/found.yaml"), to_yaml(found));
}

// At any moment: in training, in the trials after it, between them.
TEST_F(Evidence, ASearchKilledAtAnyMomentTriesTheSameNetworks) {
  const std::string again = folder_ + "/single-again";
  run_with_kills({"search", "single", "--config", folder_ + "/single.yaml", "--out", again}, again);
  EXPECT_EQ(read(supernet_ + "/result.yaml"), read(again + "/result.yaml"));
}

TEST_F(Evidence, RankTrainsNetworksAndComparesTwoJudgements) {
  const std::string out = folder_ + "/rank";
  const std::vector<std::string> command = rank_five(out);
  const Outcome outcome = run(command);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Kendall tau-b"));
  EXPECT_THAT(outcome.out, HasSubstr("--repeats 2"));
  EXPECT_EQ(lines(out + "/rank.csv").size(), 6u);
  const YAML::Node ranking = YAML::LoadFile(out + "/result.yaml")["ranking"];
  EXPECT_EQ(ranking["networks"].as<int>(), 5);
  const YAML::Node tau = ranking["pairs"][0]["kendall_tau_b"];
  EXPECT_LE(tau["low"].as<double>(), tau["high"].as<double>());
  EXPECT_GE(ranking["regret"]["value"].as<double>(), 0);

  // The same again, killed and resumed, comes to the same.
  const std::string again = folder_ + "/rank-again";
  std::vector<std::string> resumed = command;
  resumed[3] = again;
  run_with_kills(resumed, again);
  EXPECT_EQ(read(out + "/rank.csv"), read(again + "/rank.csv"));
  EXPECT_EQ(read(out + "/result.yaml"), read(again + "/result.yaml"));
}

// Beside each accuracy that in int8: of a training what `quantize` says of its weights.
TEST_F(Evidence, RankInInt8AddsWhatRoundingLeaves) {
  const std::string out = folder_ + "/rank-int8";
  std::vector<std::string> command = rank_five(out);
  command.push_back("--quantized");
  const Outcome outcome = run(command);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("test top-1 from scratch, int8"));
  const std::vector<std::string> rows = lines(out + "/rank.csv");
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_THAT(rows[0],
              testing::EndsWith("shared_search_validation_int8_top1,scratch_test_int8_top1"));
  const std::string name = rows[1].substr(0, rows[1].find(','));
  const Outcome quantized = run({"quantize", out + "/" + name + ".yaml", "--weights",
                                 out + "/" + name + ".safetensors", "--data", "idx:" + images_,
                                 "--out", folder_ + "/of-rank", "--sensitivity", "0", "--json"});
  ASSERT_EQ(quantized.exit_code, 0) << quantized.err;
  EXPECT_NEAR(std::stod(rows[1].substr(rows[1].rfind(',') + 1)),
              nlohmann::json::parse(quantized.out)["int8"]["top1"].get<double>(), 0.011)
      << "other batches of the same images, one of 200 may change sides";

  // In parts, by workers, and with the trainings of another ranking it comes to the same.
  const auto repeated = [&](const std::string& at, const std::vector<std::string>& more) {
    std::vector<std::string> words = {"rank", supernet_, "--out", folder_ + "/" + at,
                                      "--quantized"};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_EQ(run(words).exit_code, 0);
    EXPECT_EQ(read(out + "/rank.csv"), read(folder_ + "/" + at + "/rank.csv")) << at;
  };
  const std::vector<std::string> five = {"--networks", "5", "--tolerance", "0.2"};
  std::vector<std::string> killed = {"rank", supernet_, "--out", folder_ + "/int8-killed",
                                     "--quantized"};
  killed.insert(killed.end(), five.begin(), five.end());
  run_with_kills(killed, folder_ + "/int8-killed");
  EXPECT_EQ(read(out + "/rank.csv"), read(folder_ + "/int8-killed/rank.csv"));
  std::vector<std::string> shared = five;
  shared.insert(shared.end(), {"--workers", folder_ + "/int8-workers"});
  repeated("int8-shared", shared);
  repeated("int8-reused", {"--trained", out});
  repeated("int8-reused-shared", {"--trained", out, "--workers", folder_ + "/int8-more-workers"});
  expect_refused(
      {"rank", supernet_, "--out", folder_ + "/x", "--truth", out + "/rank.csv", "--quantized"},
      {"--quantized"});
}

// With the trainings of an earlier ranking nothing is trained; the figures are the same.
TEST_F(Evidence, RankTakesTheTrainingsOfAnother) {
  const std::string out = folder_ + "/rank-first";
  ASSERT_EQ(run(rank_five(out)).exit_code, 0);
  const auto reused = [&](const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> arguments{"rank",      supernet_, "--out", folder_ + "/" + name,
                                       "--trained", out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  };
  EXPECT_EQ(reused("rank-reused", {}).exit_code, 0);
  EXPECT_FALSE(fs::exists(folder_ + "/rank-reused/network-000.safetensors"));
  EXPECT_EQ(read(out + "/rank.csv"), read(folder_ + "/rank-reused/rank.csv"));
  // Another training of each is added to those known.
  const Outcome twice = reused("rank-twice", {"--repeats", "2"});
  EXPECT_EQ(twice.exit_code, 0) << twice.err;
  EXPECT_THAT(twice.out, HasSubstr("test top-1 of another"));
  EXPECT_TRUE(fs::exists(folder_ + "/rank-twice/network-000.2.safetensors"));
  EXPECT_FALSE(fs::exists(folder_ + "/rank-twice/network-000.safetensors"));
  expect_refused({"rank", supernet_, "--out", folder_ + "/x", "--trained", out, "--networks", "9"},
                 {"--networks"});
  const Outcome tuned = reused("rank-tuned", {"--tune-steps", "3"});
  EXPECT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_NE(read(out + "/rank.csv"), read(folder_ + "/rank-tuned/rank.csv"));
}

// A ranking's trainings, whatever became of the file.
TEST_F(Evidence, RankRefusesDamagedTrainings) {
  const std::string out = folder_ + "/rank-damaged";
  ASSERT_EQ(run(rank_five(out)).exit_code, 0);
  const std::string trainings = read(out + "/trainings.json");
  fs::create_directory(folder_ + "/broken");
  for (size_t length : {size_t(0), size_t(1), trainings.size() / 2, trainings.size() - 2}) {
    std::ofstream(folder_ + "/broken/trainings.json") << trainings.substr(0, length);
    expect_refused({"rank", supernet_, "--out", folder_ + "/x", "--trained", folder_ + "/broken"},
                   {"trainings.json", "not a ranking's trainings"});
  }
  const auto refused_with = [&](const std::string& from, const std::string& to,
                                const std::string& says) {
    std::string other = trainings;
    other.replace(other.find(from), from.size(), to);
    std::ofstream(folder_ + "/broken/trainings.json") << other;
    expect_refused({"rank", supernet_, "--out", folder_ + "/x", "--trained", folder_ + "/broken"},
                   {"trainings.json", says});
  };
  refused_with("epochs", "epoch!", "another recipe; give it by --config: {epoch!: 1, ");
  refused_with("held out", "held in", "not with");
  refused_with("\"top1\": 0", "\"top1\": 7", "not a ranking's trainings");
  refused_with("name: network-000", "name: ../network-000", "cannot name a file");
  refused_with("name: network-001", "name: network-000", "twice");
}

// A finished run is ranked by the target that it had, and an unfinished one goes on with none but
// the networks that it had.
TEST_F(Evidence, ARunDependsOnNoFileThatItsConfigurationNames) {
  const std::string space = folder_ + "/space.yaml", network = folder_ + "/network.yaml",
                    reference = folder_ + "/reference.yaml", path = folder_ + "/files.yaml",
                    out = folder_ + "/files";
  const std::string nano = to_yaml(find_architecture("compact-nano"));
  std::ofstream(space) << to_yaml(load_search_space("fashion-mnist"));
  std::ofstream(network) << nano;
  std::ofstream(reference) << nano;
  std::string text = single_config() + "reference: " + reference + "\n";
  for (const auto& [name, file] :
       {std::pair("space: fashion-mnist", "space: " + space),
        std::pair("relative_to: compact-nano", "relative_to: " + network)}) {
    text.replace(text.find(name), std::string(name).size(), file);
  }
  std::ofstream(path) << text;
  std::vector<std::string> search{"search", "single", "--config", path, "--out", out};
  ASSERT_EQ(run(search).exit_code, 0);
  EXPECT_EQ(read(out + "/result.yaml"), read(supernet_ + "/result.yaml"));

  search.emplace_back("--resume");
  EXPECT_EQ(run(search).exit_code, 0);
  for (const std::string& file : {network, reference}) {
    std::ofstream(file) << to_yaml(find_architecture("mobilenet-v2"));
    expect_refused(search, {"is of another configuration"});
    std::ofstream(file) << nano;
  }
  for (const std::string& file : {space, network, reference}) fs::remove(file);
  const auto ranked = [&](const std::string& run_folder, const std::string& name) {
    const Outcome outcome = run({"rank", run_folder, "--out", folder_ + "/" + name, "--networks",
                                 "3", "--tolerance", "0.2"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return read(folder_ + "/" + name + "/rank.csv");
  };
  EXPECT_EQ(ranked(out, "rank-of-files"), ranked(supernet_, "rank-of-names"));
  search[3] = out + "/config.yaml";
  EXPECT_EQ(run(search).exit_code, 0);
}

TEST_F(Evidence, FrontEmitsTheNetworksOfEverySet) {
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
TEST_F(Evidence, AFrontKeepsToTheLimitsOfItsRun) {
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
  expect_refused({"front", limited, "--out", folder_ + "/x"}, {limited, "within all limits"});
  EXPECT_FALSE(fs::exists(folder_ + "/x"));
}

TEST_F(Evidence, CompareHoldsWaysAgainstEachOtherAndGoesOnWhereItWasStopped) {
  std::ofstream(folder_ + "/compare.yaml") << single_config("tunas");
  const std::string out = folder_ + "/compare";
  const std::vector<std::string> command{
      "compare", "--config", folder_ + "/compare.yaml", "--out", out,
      "--seeds", "1,2",      "--random-networks",       "2"};
  const pid_t child = start(command, "interrupted");
  usleep(2500000);
  kill(child, SIGKILL);
  wait_for(child, "interrupted");
  const Outcome outcome = run(command);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(lines(out + "/compare.csv").size(), 1 + 2 * (4 + 2u));
  const YAML::Node summary = YAML::LoadFile(out + "/result.yaml")["summary"];
  ASSERT_EQ(summary.size(), 5u);
  EXPECT_EQ(summary[0]["way"].as<std::string>(), "two-stage");
  EXPECT_EQ(summary[4]["networks"].as<int>(), 4);
  EXPECT_TRUE(summary[0]["over_random"]["standard_errors"].IsScalar());
  // Two stages less one, within each seed.
  std::map<std::string, double> test;
  for (const YAML::Node& entry : YAML::LoadFile(out + "/result.yaml")["entries"]) {
    test[entry["way"].as<std::string>()] += entry["scratch_test_top1"].as<double>() / 2;
  }
  EXPECT_NEAR(summary[0]["over_one_stage"]["points"].as<double>(),
              test["two-stage"] - test["one-stage"], 1e-9);
  // What a search must beat. A row of the random networks is the best of both of each seed.
  EXPECT_THAT(outcome.out, HasSubstr("over the best one"));
  for (const YAML::Node& row : summary) {
    EXPECT_GE(row["best_random"]["networks"]["mean"].as<double>(), 1);
    EXPECT_TRUE(row["best_random"]["over"]["points"].IsScalar());
  }
  EXPECT_EQ(summary[4]["best_random"]["networks"]["mean"].as<double>(), 2);
  // What was stopped, as without the stop. The last column is wall time.
  std::vector<std::string> whole = command;
  whole[4] = folder_ + "/compare-whole";
  whole[6] = "1";
  whole.insert(whole.end(), {"--ways", "two-stage,random-networks"});
  ASSERT_EQ(run(whole).exit_code, 0);
  const auto two_stage = [](const std::string& path) {
    const std::string line = lines(path)[1];
    EXPECT_THAT(line, testing::StartsWith("two-stage,1,"));
    return line.substr(0, line.rfind(','));
  };
  EXPECT_EQ(two_stage(out + "/compare.csv"), two_stage(whole[4] + "/compare.csv"));
  // Evolution and random search share a supernet: neither may train it anew.
  EXPECT_FALSE(fs::exists(out + "/evolution-1"));
}

TEST_F(Evidence, ComparePricesWhatItFoundForEveryHomeAtTheOthers) {
  std::ofstream(folder_ + "/homes.yaml") << "low: {ridge_point: 0, relative_to: compact-nano}\n"
                                            "high: {ridge_point: 500, relative_to: compact-nano}\n";
  std::ofstream(folder_ + "/compare.yaml") << single_config("tunas");
  const std::string out = folder_ + "/homes";
  const std::vector<std::string> command{"compare",
                                         "--config",
                                         folder_ + "/compare.yaml",
                                         "--homes",
                                         folder_ + "/homes.yaml",
                                         "--ways",
                                         "one-stage",
                                         "--seeds",
                                         "1,2",
                                         "--out",
                                         out,
                                         "--relative-to",
                                         "compact-nano"};
  const Outcome outcome = run(command);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const YAML::Node result = YAML::LoadFile(out + "/result.yaml");
  ASSERT_EQ(result["networks"].size(), 4u);
  for (const YAML::Node& network : result["networks"]) {
    // Latency at home, by the comparison's own account.
    const auto home = network["home"].as<std::string>();
    const YAML::Node entries = YAML::LoadFile(out + "/" + home + "/result.yaml")["entries"];
    const YAML::Node& entry = entries[network["seed"].as<size_t>() - 1];
    EXPECT_NEAR(network[home == "low" ? "ridge_0" : "ridge_500"].as<double>(),
                entry["of_target"][0].as<double>(), 1e-9);
  }
  EXPECT_THAT(outcome.out, HasSubstr("ridge 500"));
  expect_refused({"compare", "--config", folder_ + "/compare.yaml", "--homes",
                  folder_ + "/homes.yaml", "--out", folder_ + "/x"},
                 {"--relative-to"});
  std::ofstream(folder_ + "/one-home.yaml") << "low: {ridge_point: 0, relative_to: compact-nano}\n";
  expect_refused(
      {"compare", "--config", folder_ + "/compare.yaml", "--homes", folder_ + "/one-home.yaml",
       "--out", folder_ + "/x", "--relative-to", "compact-nano"},
      {"one-home.yaml", "two targets"});
  std::ofstream(folder_ + "/bad-home.yaml") << "low: {ridge_poin: 0}\nhigh: {ridge_point: 5}\n";
  expect_refused(
      {"compare", "--config", folder_ + "/compare.yaml", "--homes", folder_ + "/bad-home.yaml",
       "--out", folder_ + "/x", "--relative-to", "compact-nano"},
      {"bad-home.yaml", "'low'"});
}

TEST_F(Evidence, RefusesWhatCannotBe) {
  expect_refused({"rank", supernet_, "--out", folder_ + "/x", "--repeats", "0"}, {"--repeats"});
  expect_refused({"rank"}, {"usage: ridgewalk rank RUN"});
  expect_refused({"rank", folder_ + "/nothing", "--out", folder_ + "/x"}, {"nothing"});
  expect_refused({"rank", supernet_, "--out", folder_ + "/x", "--networks", "2"}, {"--networks"});
  expect_refused({"rank", supernet_, "--out", folder_ + "/x", "--stage", "fine"}, {"fine"});
  expect_refused({"rank", supernet_, "--out", folder_ + "/x", "--tolerance", "0"}, {"--tolerance"});
  expect_refused({"front", supernet_, "--out", folder_ + "/x", "--range", "5:1"}, {"low to high"});
  expect_refused(
      {"compare", "--config", folder_ + "/single.yaml", "--out", folder_ + "/x", "--ways", "magic"},
      {"magic", "two-stage"});
  expect_refused({"compare", "--config", folder_ + "/config.yaml", "--out", folder_ + "/x"},
                 {"'single' section", "one-stage"});
  const auto refused_list = [&](const std::string& option, const std::string& value) {
    expect_refused(
        {"compare", "--config", folder_ + "/single.yaml", "--out", folder_ + "/x", option, value},
        {option});
  };
  refused_list("--seeds", "1,-2");
  refused_list("--seeds", "1,1");
  refused_list("--ways", "");
  refused_list("--ways", "evolution,evolution");
  expect_refused({"search", "single", "--config", folder_ + "/single.yaml", "--out", folder_ + "/x",
                  "--targets", "{ridge_point: 5, latency_macs: 1}"},
                 {"ridge point 5", "takes that long"});
  expect_refused({"search", "single", "--config", folder_ + "/single.yaml", "--out", folder_ + "/x",
                  "--targets", "{ridge_point: ["},
                 {"--targets"});
  EXPECT_FALSE(fs::exists(folder_ + "/x"));
  const auto refused_target = [&](const std::string& target, const std::string& says) {
    std::string text = single_config();
    const size_t at = text.find("targets:");
    text.replace(at, text.find("reward:") - at, "targets: " + target + "\n");
    std::ofstream(folder_ + "/bad.yaml") << text;
    expect_refused({"search", "single", "--config", folder_ + "/bad.yaml", "--out", folder_ + "/x"},
                   {"bad.yaml:", says});
  };
  refused_target("{ridge: [500, 0], relative_to: compact-nano}", "the lower one first");
  refused_target("{ridge: [0, 500]}", "relative_to");
  refused_target("{ridge: [0, 500], relative_to: compact-nano, reduce: best}",
                 "is named 'best'; known are worst, mean");
  refused_target("{ridge: [0, 500], relative_to: compact-nano, points: 1}", "points");
  refused_target("{ridge: [0, 500], relative_to: nothing}", "nothing");
}

}  // namespace
}  // namespace ridgewalk
