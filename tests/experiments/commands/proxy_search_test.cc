// Searches whose judge is a training-free proxy.
#include <csignal>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "experiments/run/seed_streams.h"
#include "roofline/cost.h"
#include "space/catalog.h"
#include "space/lowering.h"
#include "supernet/training/proxies.h"
#include "tests/experiments/commands/program.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

class ProxySearch : public Program {
 protected:
  static void SetUpTestSuite() {
    Program::SetUpTestSuite();
    std::ofstream(folder_ + "/single.yaml")
        << config("factor: 0.15", "single: {evaluations: 12, tolerance: 0.2, population: 6}\n");
  }

  static std::vector<std::string> single(const std::string& out, const std::string& method,
                                         const std::string& judge, int jobs = 2) {
    return {"search",  "single",      "--config", folder_ + "/single.yaml",
            "--out",   folder_ + out, "--method", method,
            "--judge", judge,         "--jobs",   std::to_string(jobs)};
  }

  static YAML::Node stage(const std::string& out) {
    return YAML::LoadFile(folder_ + out + "/result.yaml")["stages"]["single"];
  }
};

// Synflow needs no images: what the run says is what the proxy says of the network that it leaves.
TEST_F(ProxySearch, TakesTheNetworkThatTheProxyPutsFirst) {
  const Outcome outcome = run(single("/synflow", "random", "synflow", 1));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const YAML::Node result = stage("/synflow");
  EXPECT_EQ(result["judge"].as<std::string>(), "synflow");
  EXPECT_EQ(result["method"].as<std::string>(), "random");
  const double best = result["best"]["proxy"].as<double>();
  ASSERT_EQ(result["candidates"].size(), 12u);
  for (const YAML::Node& candidate : result["candidates"]) {
    EXPECT_LE(candidate["proxy"].as<double>(), best);
    EXPECT_FALSE(candidate["accuracy"].IsDefined());
    EXPECT_NEAR(candidate["latency"][0]["of_target"].as<double>(), 1, 0.2);
  }
  const Graph found = lower(find_architecture(folder_ + "/synflow/found.yaml"));
  EXPECT_EQ(best, proxy(Proxy::kSynflow, found, {}, stream_seed(3, SeedStream::kProxies)));
  EXPECT_THAT(outcome.out, HasSubstr("synflow"));
  EXPECT_FALSE(fs::exists(folder_ + "/synflow/single-supernet.safetensors"));
  expect_refused({"rank", folder_ + "/synflow", "--out", folder_ + "/x"}, {"holds no supernet"});
}

// Bit for bit, whatever the lanes and however often it is stopped.
TEST_F(ProxySearch, DependsNeitherOnLanesNorOnStops) {
  for (const std::string method : {"random", "evolution"}) {
    const std::string whole = "/whole-" + method, again = "/again-" + method;
    ASSERT_EQ(run(single(whole, method, "naswot", 1)).exit_code, 0);
    std::vector<std::string> command = single(again, method, "naswot", 3);
    for (useconds_t after : {300000u, 600000u, 1200000u}) {
      const pid_t child = start(command, "killed");
      usleep(after);
      kill(child, SIGKILL);
      if (wait_for(child, "killed").exit_code == 0) break;
      const bool begun = fs::exists(folder_ + again + "/checkpoint.safetensors");
      if (begun && command.back() != "--resume") command.emplace_back("--resume");
    }
    if (!fs::exists(folder_ + again + "/result.yaml")) {
      const Outcome outcome = run(command);
      ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    }
    for (const std::string file : {"/result.yaml", "/found.yaml"}) {
      EXPECT_EQ(read(folder_ + whole + file), read(folder_ + again + file)) << method;
    }
    EXPECT_EQ(stage(whole)["candidates"].size(), 12u);
  }
}

// Evolution with a limit: whatever the proxy prefers, nothing above it.
TEST_F(ProxySearch, KeepsLimits) {
  std::vector<std::string> command = single("/limited", "evolution", "grad-norm");
  command.insert(command.end(),
                 {"--targets",
                  "[{profile: pixel6-cpu, relative_to: mnv4-conv-small, factor: 0.15}, "
                  "{parameters_m: 0.2, limit: true}]"});
  const Outcome outcome = run(command);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Graph found = lower(find_architecture(folder_ + "/limited/found.yaml"));
  EXPECT_LE(parameter_count(found), 200000);
}

// All stages without a supernet; what is found is trained as ever.
TEST_F(ProxySearch, JudgesEveryStage) {
  std::string text = config();
  for (const std::string name : {"coarse", "fine", "hybrid"}) {
    text.replace(text.find(name + ": {"), name.size() + 3, name + ": {evaluations: 4, ");
  }
  std::ofstream(folder_ + "/few.yaml") << text << "random_networks: 2\n";
  const Outcome outcome = run({"search", "all", "--config", folder_ + "/few.yaml", "--out",
                               folder_ + "/all", "--method", "random", "--judge", "zen"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const YAML::Node result = YAML::LoadFile(folder_ + "/all/result.yaml");
  for (const char* name : {"coarse", "fine", "hybrid"}) {
    EXPECT_EQ(result["stages"][name]["judge"].as<std::string>(), "zen");
    EXPECT_FALSE(fs::exists(folder_ + "/all/" + name + "-supernet.safetensors"));
  }
  EXPECT_TRUE(result["networks"][0]["accuracy_shared_weights"].IsNull());
  const auto top1 = [&](int network) {
    return result["networks"][network]["accuracy_from_scratch"]["test"]["top1"].as<double>();
  };
  ASSERT_EQ(result["networks"].size(), 5u);
  EXPECT_EQ(result["networks"][3]["architecture"].as<std::string>(), "random-01.yaml");
  EXPECT_EQ(result["networks"][4]["architecture"].as<std::string>(), "random-02.yaml");
  EXPECT_THAT(
      outcome.out,
      HasSubstr(fmt::format("found-conv: better on the test images than {} of 2 random networks\n",
                            (top1(3) < top1(0)) + (top1(4) < top1(0)))));
}

TEST_F(ProxySearch, RefusesWhatAProxyCannotJudge) {
  std::vector<std::string> command = single("/x", "tunas", "synflow");
  expect_refused(command, {"method random or evolution"});
  command = single("/x", "random", "luck");
  expect_refused(command, {"--judge", "luck"});
  std::ofstream(folder_ + "/half.yaml")
      << config().replace(config().find("coarse: {"), 9, "coarse: {method: random, judge: snip, ");
  expect_refused({"search", "all", "--config", folder_ + "/half.yaml", "--out", folder_ + "/x"},
                 {"the fine stage", "warm_start: false"});
  std::ofstream(folder_ + "/compare.yaml")
      << config("factor: 0.15", "single: {steps: 24, method: random, judge: snip}\n");
  expect_refused({"compare", "--config", folder_ + "/compare.yaml", "--ways", "one-stage", "--out",
                  folder_ + "/x"},
                 {"'single'", "judge"});
  EXPECT_FALSE(fs::exists(folder_ + "/x"));
}

}  // namespace
}  // namespace ridgewalk
