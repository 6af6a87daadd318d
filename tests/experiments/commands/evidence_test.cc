// What the program says of its own search: rank, compare.
#include <csignal>
#include <map>

#include <yaml-cpp/yaml.h>

#include "space/catalog.h"
#include "space/search_space.h"
#include "tests/experiments/commands/evidence.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

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

// Statistics of training images are those of networks that nothing rounds.
TEST_F(Evidence, RankInInt8RefusesCalibratedJudging) {
  const std::string calibrated = folder_ + "/calibrated";
  fs::copy(supernet_, calibrated, fs::copy_options::recursive);
  std::string text = read(calibrated + "/config.yaml");
  text.replace(text.find("weights: {"), 10, "weights: {calibration_images: 100, ");
  std::ofstream(calibrated + "/config.yaml") << text;
  std::vector<std::string> command = rank_five(folder_ + "/rank-calibrated");
  command[1] = calibrated;
  EXPECT_EQ(run(command).exit_code, 0);
  command[3] = folder_ + "/x";
  command.emplace_back("--quantized");
  expect_refused(command, {calibrated, "calibration_images", "leave --quantized out"});
  EXPECT_FALSE(fs::exists(folder_ + "/x"));
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
  const Outcome again = reused("rank-reused", {});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("proxy naswot"));
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
  const Outcome bare = reused("rank-bare", {"--no-proxies"});
  EXPECT_EQ(bare.exit_code, 0) << bare.err;
  EXPECT_THAT(bare.out, testing::Not(HasSubstr("proxy")));
  EXPECT_EQ(read(out + "/rank.csv"), read(folder_ + "/rank-bare/rank.csv"));
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
  expect_refused({"rank", supernet_, "--out", folder_ + "/x", "--stage", "fine"},
                 {"holds no supernet of the stage 'fine'; choose of: single"});
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
