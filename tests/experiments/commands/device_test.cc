// Networks on devices: measured here, or predicted by a profile.
#include <fmt/format.h>

#include "roofline/cost.h"
#include "roofline/profile.h"
#include "space/lowering.h"
#include "tests/experiments/commands/program.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

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

// No network was measured on the first, none for the peak of the second, and none with such a head
// on the third.
TEST_F(Program, DescribeMarksWhatADatasheetSays) {
  const auto expect_marked = [](const std::string& profile, const std::string& head,
                                const std::string& why) {
    const Outcome described =
        run({"describe", "mnv4-conv-small", "--profile", profile, "--head-dtype", head});
    EXPECT_THAT(described.out, testing::HasSubstr("  latency         ~"));
    EXPECT_THAT(described.out, testing::HasSubstr(" ms on " + profile + ", " + why + "\n"));
  };
  expect_marked("pixel6-gpu", "fp16", "by a datasheet's peak; no network was measured");
  expect_marked("pixel4-dsp", "int8", "by a datasheet's peak; only the ridge point was fitted");
  expect_marked("pixel6-cpu", "fp32",
                "a head in fp32 by the datasheet's peaks; no network with one was measured");
}

// By hand: as many MACs and activations, the weights once.
TEST_F(Program, DescribesABatch) {
  const auto described = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"describe", "mnv4-conv-small", "--json"});
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  const auto one = described({"--profile", "pixel6-cpu"});
  const auto eight = described({"--profile", "pixel6-cpu", "--batch", "8"});
  EXPECT_EQ(eight.at("macs"), 8 * one.at("macs").get<int64_t>());
  EXPECT_EQ(eight.at("parameters"), one.at("parameters"));
  EXPECT_EQ(eight.at("peak_memory_bytes"), 8 * one.at("peak_memory_bytes").get<int64_t>());
  int64_t weights = 0;
  for (const auto& op : one.at("ops")) weights += op.at("weight_elements").get<int64_t>();
  EXPECT_EQ(eight.at("bytes").get<int64_t>() - weights,
            8 * (one.at("bytes").get<int64_t>() - weights));
  const double slower = eight.at("latency").at("total_ms").get<double>() /
                        one.at("latency").at("total_ms").get<double>();
  EXPECT_GT(slower, 4);
  EXPECT_LT(slower, 8);
  EXPECT_THAT(run({"describe", "mnv4-conv-small", "--batch", "8"}).out,
              testing::HasSubstr("mnv4-conv-small at 224 pixels, int8, 8 images"));
  const Outcome several = run({"describe", "mnv4-conv-small", "mobilenet-v1", "--batch", "8"});
  EXPECT_THAT(several.out, testing::HasSubstr("of 8 images"));
}

// What follows the last stage of mnv4-conv-small: convolutions from 128 to 960 channels at 7 x 7
// pixels and from 960 to 1280 at one, the classifier.
TEST_F(Program, DescribesAFloatHead) {
  const auto described = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"describe", "mnv4-conv-small", "--json"});
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  const auto int8 = described({"--profile", "pixel6-cpu"});
  const auto mixed = described({"--profile", "pixel6-cpu", "--head-dtype", "fp32"});
  const int64_t weights = 128 * 960 + 960 * 1280 + 1280 * 1000;
  const int64_t values = 49 * (128 + 960) + 960 + 1280 + 1280 + 1000;
  EXPECT_EQ(mixed.at("bytes").get<int64_t>() - int8.at("bytes").get<int64_t>(),
            3 * (weights + 1000 + values));
  EXPECT_EQ(mixed.at("weight_memory_bytes").get<int64_t>() -
                int8.at("weight_memory_bytes").get<int64_t>(),
            3 * weights);
  EXPECT_EQ(mixed.at("peak_memory_bytes"), int8.at("peak_memory_bytes"));  // that of an early map
  EXPECT_EQ(mixed.at("head_data_type"), "fp32");
  EXPECT_GT(mixed.at("latency").at("total_ms"), int8.at("latency").at("total_ms"));
  EXPECT_EQ(described({"--profile", "pixel6-cpu", "--head-dtype", "int8"}), int8);
  EXPECT_THAT(run({"describe", "mnv4-conv-small", "--head-dtype", "fp32"}).out,
              testing::HasSubstr("mnv4-conv-small at 224 pixels, int8, head fp32\n"));
  expect_refused({"describe", "mnv4-conv-small", "--profile", "tpu-v5e", "--head-dtype", "fp32"},
                 {"no peak for fp32"});
}

TEST_F(Program, DescribesTheEnergyOfSeveralNetworks) {
  const std::vector<std::string> words = {"describe", "mnv4-conv-small", "mobilenet-v1",
                                          "--profile", "energy-45nm"};
  const Outcome outcome = run(words);
  EXPECT_THAT(outcome.out, testing::ContainsRegex(" mJ\n"));
  const auto json = nlohmann::json::parse(
      run({"describe", "mobilenet-v1", "--profile", "energy-45nm", "--json"}).out);
  EXPECT_THAT(outcome.out,
              testing::HasSubstr(fmt::format(" {:.4g}\n", json.at("energy_mj").get<double>())));
  std::vector<std::string> wider = words;
  wider.insert(wider.end(), {"--dtype", "bf16"});
  const Outcome other = run(wider);
  EXPECT_THAT(
      other.out,
      testing::HasSubstr("energy: not known for bf16: energy-45nm has it for int8, fp16, fp32"));
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

}  // namespace
}  // namespace ridgewalk
