// `ridgewalk sweep` as a user runs it.
#include "tests/experiments/commands/program.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

TEST_F(Program, SweepsTheRidgePoint) {
  const std::string out = folder_ + "/sweep";
  ASSERT_EQ(run({"sweep", "mnv4-conv-small", "mnv4-conv-medium", "--out", out}).exit_code, 0);
  const std::string csv = read(out + "/sweep.csv");
  EXPECT_THAT(csv, HasSubstr("network,ridge_point,latency_macs\nmnv4-conv-small,0,186005568\n"));
  EXPECT_THAT(csv, HasSubstr("mnv4-conv-medium,500,"));
  EXPECT_EQ(nlohmann::json::parse(read(out + "/sweep.json"))["networks"].size(), 2u);
  const std::string html = read(out + "/report.html");
  EXPECT_GT(html.size(), 200000u);
  EXPECT_EQ(html.find("src=\"http"), std::string::npos);
}

// By hand: the head of mnv4-conv-small has 128 x 960 products at 7 x 7 pixels, 960 x 1280 and 1280
// x 1000, each four times as long in fp32.
TEST_F(Program, SweepsWithAFloatHead) {
  const std::string out = folder_ + "/float-head";
  const Outcome outcome = run({"sweep", "mnv4-conv-small", "--head-dtype", "fp32", "--profile",
                               "pixel6-cpu", "--out", out});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const int64_t head = 49 * 128 * 960 + 960 * 1280 + 1280 * 1000;
  EXPECT_THAT(read(out + "/sweep.csv"),
              HasSubstr("mnv4-conv-small,0," + std::to_string(186005568 + 3 * head) + "\n"));
  const auto sweep = nlohmann::json::parse(read(out + "/sweep.json"));
  EXPECT_EQ(sweep["head_data_type"], "fp32");
  const auto described = nlohmann::json::parse(run({"describe", "mnv4-conv-small", "--profile",
                                                    "pixel6-cpu", "--head-dtype", "fp32", "--json"})
                                                   .out);
  EXPECT_EQ(sweep["networks"][0]["weight_memory_bytes"], described["weight_memory_bytes"]);
  const std::string row = "mnv4-conv-small,pixel6-cpu,true,";
  const std::string table = read(out + "/profiles.csv");
  ASSERT_THAT(table, HasSubstr(row));
  EXPECT_NEAR(std::stod(table.substr(table.find(row) + row.size())),
              described["latency"]["total_ms"].get<double>(), 1e-9);
  expect_refused({"sweep", "mnv4-conv-small", "--dtype", "fp32", "--head-dtype", "int8", "--out",
                  folder_ + "/narrow"},
                 {"narrower"});
  expect_refused({"sweep", "mnv4-conv-small", "--head-dtype", "fp23", "--out", folder_ + "/narrow"},
                 {"--head-dtype"});
  expect_refused({"sweep", "mnv4-conv-small", "--head-dtype", "bf16", "--profile",
                  "epyc-zen5-1-thread", "--out", folder_ + "/laws"},
                 {"laws"});
  EXPECT_FALSE(fs::exists(folder_ + "/laws"));
}

// What a profile says of a data type that was asked for, and without one of its own.
TEST_F(Program, SweepsProfilesInATypeThatIsGiven) {
  for (const auto& [type, is_guess] : {std::pair("int8", "false"), {"fp32", "true"}}) {
    const std::string out = folder_ + "/typed";
    ASSERT_EQ(
        run({"sweep", "mnv4-conv-small", "--dtype", type, "--profile", "pixel6-cpu", "--out", out})
            .exit_code,
        0);
    const auto described = nlohmann::json::parse(
        run({"describe", "mnv4-conv-small", "--profile", "pixel6-cpu", "--dtype", type, "--json"})
            .out);
    const std::string row = std::string("mnv4-conv-small,pixel6-cpu,") + is_guess + ",";
    const std::string table = read(out + "/profiles.csv");
    ASSERT_THAT(table, HasSubstr(row));
    EXPECT_NEAR(std::stod(table.substr(table.find(row) + row.size())),
                described["latency"]["total_ms"].get<double>(), 1e-9);
  }
}

TEST_F(Program, SweepsWithAccuracies) {
  const std::string out = folder_ + "/rated";
  const Outcome outcome = run({"sweep", "mobilenet-v1", "mobilenet-v2", "mobilenet-v1-150", "--out",
                               out, "--points", "11", "--ridge", "0:1000"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("mobilenet-v2            73.40 %  0 to 61.03\n"));
  const auto sweep = nlohmann::json::parse(read(out + "/sweep.json"));
  EXPECT_EQ(sweep["ridge_points"].size(), 11u);
  EXPECT_EQ(sweep["range"], nlohmann::json::parse("[0.0, 1000.0]"));
  EXPECT_EQ(sweep["networks"][0]["front"], nlohmann::json::parse("[[0.0, 1000.0]]"));
  EXPECT_TRUE(sweep["networks"][2]["accuracy"].is_null());
  EXPECT_TRUE(sweep["networks"][2]["front"].empty());
  ASSERT_EQ(sweep["swaps"].size(), 1u);
  EXPECT_EQ(sweep["swaps"][0]["faster_above"], "mobilenet-v1");
  EXPECT_EQ(sweep["swaps"][0]["ridge_point"], sweep["networks"][1]["front"][0][1]);
  EXPECT_THAT(read(out + "/report.html"),
              HasSubstr("ridgewalk sweep mobilenet-v1 mobilenet-v2 mobilenet-v1-150 --out "));
  // Without a peak there are no milliseconds, which is said; a guess is marked with its reason.
  const Outcome without =
      run({"sweep", "mobilenet-v1", "--ridge", "0,5", "--profile", "pixel8-edgetpu", "--profile",
           "pixel6-cpu", "--profile", "rtx-4090", "--out", out});
  ASSERT_EQ(without.exit_code, 0);
  EXPECT_THAT(without.err, HasSubstr("no milliseconds on pixel8-edgetpu: without a peak"));
  EXPECT_THAT(without.out,
              HasSubstr("~ on rtx-4090: by what was measured of batches of 256, none of single"));
  EXPECT_THAT(read(out + "/profiles.csv"), HasSubstr("mobilenet-v1,rtx-4090,true,"));
  EXPECT_THAT(read(out + "/profiles.csv"), HasSubstr("mobilenet-v1,pixel6-cpu,false,"));
  // A profile's ridge point is added, and marked.
  std::ofstream(folder_ + "/device.yaml") << "{name: my-device, data_type: int8, "
                                             "ridge_point: {value: 77, source: here}}";
  ASSERT_EQ(run({"sweep", "mobilenet-v1", "--ridge", "0,5", "--profile", folder_ + "/device.yaml",
                 "--out", out})
                .exit_code,
            0);
  EXPECT_THAT(read(out + "/sweep.csv"), HasSubstr("mobilenet-v1,77,"));
  EXPECT_THAT(read(out + "/report.html"), HasSubstr("\"my-device\",\"ridge_point\":77.0"));
  // The figure is for 224 pixels.
  ASSERT_EQ(run({"sweep", "mobilenet-v1", "--resolution", "192", "--out", out}).exit_code, 0);
  EXPECT_TRUE(
      nlohmann::json::parse(read(out + "/sweep.json"))["networks"][0]["accuracy"].is_null());
}

// Two runs of search whose networks have one name, one of a single stage, one of train.
TEST_F(Program, SweepsRunFolders) {
  const auto path = [](const std::string& name) { return folder_ + "/" + name; };
  const auto write = [&](const std::string& run, const std::string& name, const std::string& text) {
    fs::create_directories(path(run));
    std::ofstream(path(run + "/" + name)) << text;
  };
  const std::string network =
      "{name: net, resolution: 28, channels: 1, classes: 10, stem: {block: conv, kernel: 3, "
      "stride: 2, width: 8}, stages: [], head: {width: 32, features: 32}}";
  for (const char* run : {"a", "b"}) {
    write(run, "found-conv.yaml", network);
    write(run, "result.yaml", R"(networks:
  - name: found-conv
    kind: found
    architecture: found-conv.yaml
    accuracy_from_scratch: {weights: from scratch, data: shirts, test: {top1: 0.9}}
)");
  }
  write("stage", "result.yaml",
        "stages:\n  coarse:\n    architecture: \"" + network +
            "\"\n    best: {accuracy: 0.8, split: search-validation, weights: shared}\n");
  write("trained", "architecture.yaml", network);
  write("trained", "result.yaml", "{architecture: net, weights: from scratch, test: {top1: 0.7}}");
  const Outcome outcome = run(
      {"sweep", path("a"), path("b"), path("stage"), path("trained"), "--out", path("runs-swept")});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  std::vector<std::string> names, images;
  const auto sweep = nlohmann::json::parse(read(path("runs-swept/sweep.json")));
  for (const auto& one : sweep["networks"]) {
    names.push_back(one["name"]);
    images.push_back(one["accuracy"]["images"]);
    EXPECT_EQ(one["front"], nlohmann::json::parse("[[0.0, 500.0]]"));
  }
  EXPECT_THAT(names,
              testing::ElementsAre("found-conv", path("b") + "/found-conv", "coarse", "net"));
  EXPECT_THAT(images, testing::ElementsAre("shirts test", "shirts test",
                                           "search-validation, shared weights of the coarse stage",
                                           "the run's data test"));

  write("empty", "log.jsonl", "");
  write("broken", "result.yaml", "networks:\n  - {name: x, kind: found}\n");
  const auto refused = [&](std::vector<std::string> words, const std::vector<std::string>& says) {
    words.insert(words.begin(), {"sweep", "--out", path("never-swept")});
    expect_refused(words, says);
  };
  refused({path("empty")}, {path("empty"), "finished run"});
  refused({path("broken")}, {"broken/result.yaml:2", "'architecture'"});
  refused({path("a"), "--resolution", "32"}, {path("a"), "--resolution"});
  refused({"mobilenet-v1", "mobilenet-v1"}, {"given twice"});
  refused({"mobilenet-v1", "--points", "1"}, {"--points is 1; it must be from 2 to 10000"});
  EXPECT_FALSE(fs::exists(path("never-swept")));
}

}  // namespace
}  // namespace ridgewalk
