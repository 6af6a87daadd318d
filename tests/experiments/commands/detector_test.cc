// Detectors on the command line: what takes them, and what refuses them in a line.
#include "tests/experiments/commands/program.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

constexpr const char* kDetector = "mnv4-conv-medium-retinanet";

TEST_F(Program, PricesAWholeDetector) {
  const Outcome outcome = run({"describe", kDetector, "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto described = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(described["resolution"], 384);
  EXPECT_NEAR(described["macs"].get<double>() / 5.06e9, 1, 0.02);  // MobileNetV4, table 7
  EXPECT_NEAR(described["parameters_of_tf_models"].get<double>() / 9.79e6, 1, 0.001);
  EXPECT_EQ(described["ops"].back()["name"], "head.box_7.predict.pw");
  EXPECT_EQ(described["ops"].back()["output"], nlohmann::json({36, 3, 3}));
  EXPECT_THAT(run({"describe", kDetector}).out, HasSubstr("as TF-models counts"));
  const Outcome swept =
      run({"sweep", kDetector, "mnv4-conv-medium", "--out", folder_ + "/detectors"});
  EXPECT_EQ(swept.exit_code, 0) << swept.err;
  const Outcome timed = run({"bench", kDetector, "--resolution", "64", "--repeats", "1",
                             "--seconds", "0", "--ops", "--json"});
  ASSERT_EQ(timed.exit_code, 0) << timed.err;
  EXPECT_GT(nlohmann::json::parse(timed.out)["latency_ms"].get<double>(), 0);
}

TEST_F(Program, ExportsADetectorAndItsBackbonesMaps) {
  for (const char* format : {"onnx", "safetensors"}) {
    const std::string out = folder_ + "/detector." + format;
    const Outcome outcome =
        run({"export", kDetector, "--resolution", "64", "--format", format, "--out", out});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_GT(fs::file_size(out), 4u * 8'000'000);
  }
  const Outcome again = run({"export", kDetector, "--resolution", "64", "--weights",
                             folder_ + "/detector.safetensors", "--format", "onnx", "--out",
                             folder_ + "/again.onnx"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(run({"export", kDetector, "--features", "--format", "onnx", "--resolution", "64",
                 "--out", folder_ + "/maps.onnx"})
                .exit_code,
            0);
}

TEST_F(Program, RefusesADetectorWhereAClassifierIsNeeded) {
  const std::string data = "idx:" + images_, out = folder_ + "/no-run";
  const std::vector<std::string> says{"'mnv4-conv-medium-retinanet' is a detector"};
  expect_refused({"train", kDetector, "--data", data, "--out", out}, says);
  expect_refused({"evaluate", kDetector, "--data", data, "--weights", "w"}, says);
  expect_refused({"distill", kDetector, "--data", data, "--weights", "w", "--out", out}, says);
  expect_refused({"classify", kDetector, "picture.png", "--weights", "w"}, says);
  const std::string path = folder_ + "/detector-reference.yaml";
  std::ofstream(path) << config() << "reference: " << kDetector << "\n";
  expect_refused({"search", "--config", path, "--out", out}, {path, "is a detector"});
  EXPECT_FALSE(fs::exists(out));
  expect_refused({"describe", kDetector, "--resolution", "100"},
                 {"resolution is 100; that of a detector must be a multiple of 32"});
  expect_refused({"describe", "mnv4-conv-medium-retinanett"},
                 {"did you mean mnv4-conv-medium, mnv4-conv-medium-retinanet"});
  const std::string yaml = folder_ + "/detector.yaml";
  std::ofstream(yaml) << "name: mine\nresolution: 64\nstem: {block: conv, width: 8}\n"
                         "stages: [[{block: conv, stride: 2, width: 8}]]\nhead: {}\n"
                         "detector: {pyramid: 8, heads: 2}\n";
  expect_refused({"describe", yaml}, {yaml + ":6", "unknown key 'heads'"});
  std::ofstream(yaml) << "name: mine\nresolution: 64\nstem: {block: conv, width: 8}\n"
                         "stages: [[{block: conv, stride: 2, width: 8}, {block: conv, stride: 2, "
                         "width: 8}]]\nhead: {}\n"
                         "detector: {pyramid: 8}\n";
  expect_refused({"describe", yaml}, {"its backbone has no maps at strides 8, 16 and 32"});
}

}  // namespace
}  // namespace ridgewalk
