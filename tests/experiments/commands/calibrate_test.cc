// `ridgewalk calibrate` and what its profile is for, as a user runs them: in seconds, so that the
// figures are rough.
#include "tests/experiments/commands/program.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

// What the commands make of a profile of this machine.
class Calibrated : public Program {
 protected:
  // Laws are of single images, and scale to as many at once: an op at a time, as they are run, and
  // together.
  static void expect_ops_add_up(const std::string& network, const std::string& batch,
                                const std::string& profile, const std::string& precision) {
    const Outcome described =
        run({"describe", network, "--profile", profile, "--batch", batch, "--json"});
    ASSERT_EQ(described.exit_code, 0) << described.err;
    const nlohmann::json latency = nlohmann::json::parse(described.out)["latency"];
    EXPECT_GT(latency["laws_ms"].get<double>(), 0);
    const Outcome benched =
        run({"bench", network, "--ops", "--json", "--profile", profile, "--precision", precision,
             "--batch", batch, "--repeats", "1", "--seconds", "0"});
    ASSERT_EQ(benched.exit_code, 0) << benched.err;
    const nlohmann::json record = nlohmann::json::parse(benched.out);
    double sum = 0;
    for (const nlohmann::json& op : record["ops"]) sum += op["predicted_ms"].get<double>();
    EXPECT_NEAR(sum, latency["laws_ms"].get<double>(), 1e-6 * sum);
  }

  // Networks and members of a space beside their predictions, and a fit of the table.
  static void expect_measured(const std::string& profile, const std::string& out,
                              const std::string& precision) {
    const Outcome outcome = run({"sweep", "mnv4-conv-small", "--members", "fashion-mnist:3",
                                 "--seed", "9", "--measure", "--profile", profile, "--out", out});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("the same network measured twice"));
    const nlohmann::json measured = nlohmann::json::parse(read(out + "/measured.json"));
    ASSERT_EQ(measured["networks"].size(), 4u);
    EXPECT_GT(measured["drift"].get<double>(), 0);
    EXPECT_TRUE(measured["agreement"].contains("drifted"));
    EXPECT_EQ(measured["networks"][0]["name"], "mnv4-conv-small");
    for (const nlohmann::json& network : measured["networks"]) {
      ASSERT_EQ(network["passes_ms"].size(), 5u);
      std::vector<double> passes = network["passes_ms"];
      std::sort(passes.begin(), passes.end());
      EXPECT_EQ(network["measured_ms"], passes[2]);
      // Rough as it is, it knows a network of 3 ms from one of 0.1 ms.
      const double ratio =
          network["predicted_ms"].get<double>() / network["measured_ms"].get<double>();
      EXPECT_GT(ratio, 0.1);
      EXPECT_LT(ratio, 10);
    }
    EXPECT_THAT(
        read(out + "/measured.csv"),
        HasSubstr("network,macs,predicted_ms,lower_bound,roofline_ms,measured_ms,pass_1_ms"));
    // `fit` finds its networks, the members among them, beside it.
    const Outcome fitted = run(
        {"fit", out + "/measured.csv", "--latency", "measured_ms", "--dtype", precision, "--json"});
    ASSERT_EQ(fitted.exit_code, 0) << fitted.err;
    EXPECT_EQ(nlohmann::json::parse(fitted.out)["networks"].size(), 4u);
  }

  // What was measured in other conditions than the profile's.
  static void expect_others_refused(const std::string& profile, const std::string& out) {
    expect_refused({"sweep", "compact-nano", "--measure", "--profile", profile, "--threads", "2",
                    "--out", out},
                   {"--threads"});
    expect_refused({"sweep", "compact-nano", "--measure", "--profile", profile, "--precision",
                    "bf16", "--out", out},
                   {"--precision"});
    expect_refused({"sweep", "compact-nano", "--measure", "--profile", profile, "--profile",
                    profile, "--out", out},
                   {"one --profile"});
    expect_refused({"bench", "compact-nano", "--profile", profile}, {"--ops"});
    expect_refused({"bench", "compact-nano", "--ops", "--profile", profile, "--threads", "2"},
                   {"--threads 1"});
  }
};

// One test, since CTest runs each in a process of its own and calibrating takes seconds.
TEST_F(Calibrated, CalibratesAndPredicts) {
  const std::string profile = folder_ + "/machine.yaml";
  const Outcome calibrated =
      run({"calibrate", "--networks", "16", "--seconds", "0", "--repeats", "1", "--out", profile});
  ASSERT_EQ(calibrated.exit_code, 0) << calibrated.err;
  EXPECT_THAT(calibrated.out, HasSubstr("conv 1x1"));
  EXPECT_THAT(calibrated.out, HasSubstr("peak fp32"));
  const std::string yaml = read(profile);
  for (const char* key : {"peak_gmacs:", "bandwidth_gbps:", "effective:", "working_sets:", "laws:",
                          "spread: {error:", "machine:", "threads: 1", "data_type: fp32"}) {
    EXPECT_THAT(yaml, HasSubstr(key));
  }
  const std::string out = folder_ + "/measured";
  expect_ops_add_up("mnv4-conv-small", "1", profile, "fp32");
  expect_ops_add_up("compact-nano", "8", profile, "fp32");
  expect_measured(profile, out, "fp32");
  expect_others_refused(profile, out);
  // The members are left to be described, trained or swept again.
  const Outcome member =
      run({"describe", out + "/members/fashion-mnist-9-002.yaml", "--profile", profile, "--json"});
  ASSERT_EQ(member.exit_code, 0) << member.err;
  EXPECT_NEAR(nlohmann::json::parse(member.out)["latency"]["laws_ms"].get<double>(),
              nlohmann::json::parse(read(out + "/measured.json"))["networks"][3]["predicted_ms"]
                  .get<double>(),
              1e-9);
}

// The same of networks that are quantised: with attention, whose softmax stays fp32, and gates.
TEST_F(Calibrated, CalibratesAndPredictsInt8) {
  const std::string profile = folder_ + "/int8.yaml";
  const Outcome calibrated = run({"calibrate", "--precision", "int8", "--networks", "16",
                                  "--seconds", "0", "--repeats", "1", "--out", profile});
  ASSERT_EQ(calibrated.exit_code, 0) << calibrated.err;
  EXPECT_THAT(calibrated.out, HasSubstr("conv 1x1"));
  EXPECT_THAT(read(profile), HasSubstr("data_type: int8"));
  expect_ops_add_up("mnv4-conv-small", "1", profile, "int8");
  expect_ops_add_up("compact-hybrid-large", "1", profile, "int8");
  expect_ops_add_up("mobilenet-v3-large", "1", profile, "int8");
  expect_measured(profile, folder_ + "/measured", "int8");
  expect_refused({"bench", "compact-nano", "--ops", "--profile", profile}, {"for int8, not fp32"});
}

TEST_F(Program, RefusesToPredictWithoutLaws) {
  const std::string out = folder_ + "/refused";
  expect_refused({"sweep", "mnv4-conv-small", "--measure", "--out", out}, {"ridgewalk calibrate"});
  expect_refused({"sweep", "mnv4-conv-small", "--measure", "--profile", "pixel6-cpu", "--out", out},
                 {"ridgewalk calibrate"});
  for (const char* members : {"mobile", "mobile:", "mobile:0", "mobile:3x", "mobile:99999"}) {
    expect_refused({"sweep", "--members", members, "--out", out}, {"--members", "mobile:100"});
  }
  expect_refused({"sweep", "--members", "mobile:3", "--resolution", "64", "--out", out},
                 {"leave out --resolution"});
  expect_refused({"sweep", "--members", "no-space:3", "--out", out}, {"no-space"});
  std::ofstream(folder_ + "/tiny.yaml")
      << "{name: tiny, resolution: 28, channels: 1, classes: 10, stem: {kernel: 3, stride: 1, "
         "width: [4, 8]}, stages: [{block: fused_ib, stride: 2, width: [8], depth: [1], "
         "expansion: [2]}], head: {width: 32, features: 32}}";
  expect_refused({"sweep", "--members", folder_ + "/tiny.yaml:3", "--out", out},
                 {"'tiny' has only 2 networks"});
  expect_refused({"calibrate"}, {"--out"});
  expect_refused({"calibrate", "--out", folder_ + "/no/folder/machine.yaml"}, {"machine.yaml"});
  expect_refused({"calibrate", "--networks", "3", "--out", out}, {"--networks"});
  expect_refused({"calibrate", "--repeats", "0", "--out", out}, {"repeats"});
  expect_refused({"bench", "mnv4-conv-small", "--ops", "--profile", "pixel6-cpu"},
                 {"no laws of ops"});
  EXPECT_FALSE(fs::exists(out));
}

// Whatever a space calls itself, its members stay in the folder that was asked for.
TEST_F(Program, LeavesMembersWhereItWasAskedTo) {
  std::string space = read("space/spaces/fashion-mnist.yaml");
  const std::string line = "name: fashion-mnist\n";
  ASSERT_NE(space.find(line), std::string::npos);
  space.replace(space.find(line), line.size(), "name: ../../escaped\n");
  std::ofstream(folder_ + "/evil.yaml") << space;
  const std::string out = folder_ + "/members-out";
  ASSERT_EQ(run({"sweep", "--members", folder_ + "/evil.yaml:2", "--out", out}).exit_code, 0);
  EXPECT_TRUE(fs::exists(out + "/members/.._.._escaped-1-001.yaml"));
  EXPECT_FALSE(fs::exists(folder_ + "/escaped-1-001.yaml"));
}

}  // namespace
}  // namespace ridgewalk
