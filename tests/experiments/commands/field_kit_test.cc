// What `bench --script` writes, filled in by programs that print what the benchmark programs print.
#include <cstdlib>

#include "roofline/measurements.h"
#include "space/file.h"
#include "tests/experiments/commands/program.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

class FieldKit : public Program {
 protected:
  void SetUp() override {
    kit_ = folder_ + "/kit";
    fs::remove_all(kit_);
    const Outcome written = run({"bench", "compact-nano", "mobilenet-v2-050", "mobilenet-v2-050",
                                 "mobilenet-v1", "--resolution", "64", "--script", kit_});
    ASSERT_EQ(written.exit_code, 0) << written.err;
    EXPECT_THAT(written.out, HasSubstr("fit " + kit_ + "/measured.csv"));
  }

  // A program in the kit's folder, which the script finds there.
  void write_program(const std::string& name, const std::string& text) {
    std::ofstream(kit_ + "/" + name) << "#!/bin/sh\n" << text;
    fs::permissions(kit_ + "/" + name, fs::perms::owner_all);
  }

  int measure(const std::string& arguments, const std::string& before = "") {
    const std::string command =
        before + " sh " + kit_ + "/measure.sh " + arguments + " >" + kit_ + "/said 2>&1";
    return WEXITSTATUS(std::system(command.c_str()));
  }

  std::vector<double> latencies() {
    const std::string file = kit_ + "/measured.csv";
    std::vector<double> ms;
    for (const Measurement& row : read_measurements(read_file(file), file, "").rows) {
      ms.push_back(1e3 * row.latency.value);
    }
    return ms;
  }

  std::string kit_;
};

TEST_F(FieldKit, HoldsEveryNetworkAndAForm) {
  int networks = 0;
  for (const auto& entry : fs::directory_iterator(kit_)) {
    networks += entry.path().extension() == ".onnx";
  }
  EXPECT_EQ(networks, 4);
  const std::string form = read(kit_ + "/measured.csv");
  EXPECT_THAT(form, HasSubstr("network,#file,batch,latency_ms\n"));
  EXPECT_EQ(std::count(form.begin(), form.end(), '\n'), 5);
  expect_refused({"fit", kit_ + "/measured.csv"}, {"measured.csv", "there are 0"});
}

// Lines of onnxruntime_perf_test (its performance_runner.cc), with the median as its P50.
TEST_F(FieldKit, ReadsOnnxRuntime) {
  write_program("onnxruntime_perf_test",
                "echo 'Average inference time cost: 62.2935 ms'\n"
                "echo 'Total inference run time: 6.23146 s'\n"
                "echo 'Min Latency: 0.0529422 s'\necho 'P50 Latency: 0.0603562 s'\n"
                "echo 'P90 Latency: 0.0713 s'\n"
                "for last; do :; done; test -f \"$last\"\n");
  EXPECT_EQ(measure("onnxruntime"), 0) << read(kit_ + "/said");
  EXPECT_THAT(latencies(), testing::Each(testing::DoubleNear(60.3562, 1e-9)));
  EXPECT_EQ(latencies().size(), 4u);
  // Nothing is left to measure, and what was measured is not lost.
  write_program("onnxruntime_perf_test", "exit 1\n");
  EXPECT_EQ(measure("onnxruntime"), 0);
  expect_refused({"bench", "compact-nano", "--script", kit_}, {"measured.csv", "holds latencies"});
  EXPECT_EQ(latencies().size(), 4u);
}

// The line of benchmark_model (its benchmark_model.cc), in microseconds.
TEST_F(FieldKit, ReadsTensorFlowLite) {
  write_program("benchmark_model",
                "echo 'INFO: Inference timings in us: Init: 12345, First inference: 9876, "
                "Warmup (avg): 8000, Inference (avg): 7654.32'\n");
  EXPECT_EQ(measure("tflite", "OPTIONS=--num_threads=1"), 0) << read(kit_ + "/said");
  EXPECT_THAT(latencies(), testing::Each(testing::DoubleNear(7.65432, 1e-9)));
  EXPECT_EQ(latencies().size(), 4u);
}

// Of trtexec, which also explains its figures.
TEST_F(FieldKit, ReadsTensorRt) {
  write_program(
      "trtexec",
      "echo '[I] Latency: min = 9 ms, max = 9 ms, mean = 9 ms, median = 9 ms'\n"
      "echo '[I] GPU Compute Time: min = 5.99756 ms, max = 9.45909 ms, mean = 7.35231 ms, median = "
      "7.1825 ms, percentile(99%) = 9.2168 ms'\n"
      "echo '[I] GPU Compute Time: the GPU latency to execute the kernels for a query.'\n");
  EXPECT_EQ(measure("trtexec"), 0) << read(kit_ + "/said");
  EXPECT_THAT(latencies(), testing::Each(testing::DoubleNear(7.1825, 1e-9)));
  EXPECT_EQ(latencies().size(), 4u);
}

// A runner is given one command line, as adb shell and ssh are, and its folder on the device.
TEST_F(FieldKit, RunsOnADeviceAndGoesOn) {
  fs::create_directories(kit_ + "/device");
  write_program("device/onnxruntime_perf_test",
                "case \"$CORES $*\" in 'f0 '*compact-nano*) echo 'cannot load'; exit 3;; esac\n"
                "echo 'P50 Latency: 0.002 s'\n");
  write_program("shell", "test $# -eq 1 || exit 9\ncat >/dev/null\nsh -c \"$1\"\n");
  const std::string device = "DEVICE_DIR=" + kit_ + "/device PREFIX='CORES=f0'";
  EXPECT_EQ(measure("onnxruntime ./shell", device), 1);
  EXPECT_THAT(read(kit_ + "/said"), HasSubstr("compact-nano-64: no latency"));
  EXPECT_THAT(read(kit_ + "/compact-nano-64.log"), HasSubstr("cannot load"));
  EXPECT_EQ(latencies(), (std::vector<double>(3, 2)));
  write_program("device/onnxruntime_perf_test", "echo 'P50 Latency: 0.001 s'\n");
  EXPECT_EQ(measure("onnxruntime ./shell", device), 0);
  EXPECT_EQ(latencies(), (std::vector<double>{1, 2, 2, 2}));
}

TEST_F(FieldKit, IsReadByFit) {
  write_program("benchmark_model",
                "case \"$*\" in\n*compact-nano*) us=100;;\n*mobilenet-v1*) us=900;;\n*) us=300;;\n"
                "esac\necho \"Inference (avg): $us\"\n");
  ASSERT_EQ(measure("tflite"), 0) << read(kit_ + "/said");
  const Outcome fitted = run({"fit", kit_ + "/measured.csv", "--dtype", "fp32", "--json"});
  ASSERT_EQ(fitted.exit_code, 0) << fitted.err;
  // Two rows of one network at one resolution are one.
  EXPECT_EQ(nlohmann::json::parse(fitted.out).at("networks").size(), 3u);
}

TEST_F(FieldKit, RefusesWhatItCannotDo) {
  EXPECT_EQ(measure("openvino"), 2);
  EXPECT_THAT(read(kit_ + "/said"), HasSubstr("no tool is named 'openvino'"));
  EXPECT_EQ(measure(""), 2);
  EXPECT_THAT(read(kit_ + "/said"), HasSubstr("sh measure.sh onnxruntime|tflite|trtexec"));
  EXPECT_EQ(measure("tflite"), 1);  // no such program here
  EXPECT_TRUE(latencies().empty());
  expect_refused({"bench", "compact-nano", "--ops", "--script", folder_ + "/other"}, {"--ops"});
  expect_refused(
      {"bench", "compact-nano", "--int8-weights", folder_, "--script", folder_ + "/other"},
      {"--int8-weights"});
  EXPECT_FALSE(fs::exists(folder_ + "/other"));
  expect_refused({"bench", "compact-nan", "--script", folder_ + "/other"}, {"compact-nan"});
  EXPECT_FALSE(fs::exists(folder_ + "/other"));
  expect_refused({"bench", "compact-nano", "--script", folder_ + "/config.yaml"}, {"config.yaml"});
}

}  // namespace
}  // namespace ridgewalk
