// Quantisation of a trained network, through the command line.
#include "space/architecture.h"
#include "space/head.h"
#include "space/lowering.h"
#include "supernet/formats/safetensors.h"
#include "supernet/quantization/quantized_files.h"
#include "supernet/quantization/rewrite.h"
#include "tests/experiments/commands/program.h"

namespace ridgewalk {
namespace {

using testing::Contains;
using testing::HasSubstr;

class Quantize : public Program {
 protected:
  static void SetUpTestSuite() {
    Program::SetUpTestSuite();
    std::ofstream(path("train.yaml"))
        << "{epochs: 3, batch_size: 25, optimizer: adamw, learning_rate: 0.005}\n";
    const Outcome outcome =
        run(with({"train"}, {"--out", path("run"), "--config", path("train.yaml"), "--seed", "1"}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }

  static std::string path(const std::string& name) { return folder_ + "/" + name; }
  static std::vector<std::string> with(std::vector<std::string> words,
                                       const std::vector<std::string>& more) {
    const std::vector<std::string> network = small_network(32);
    words.insert(words.end(), network.begin(), network.end());
    words.insert(words.end(), {"--data", "idx:" + images_, "--quiet"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  static std::vector<std::string> quantize(const std::vector<std::string>& more) {
    const auto has = [&](const char* word) {
      return std::find(more.begin(), more.end(), word) != more.end();
    };
    auto words = with({"quantize"}, {"--batch-size", "50", "--sensitivity", has("qat") ? "0" : "50",
                                     "--weights", path("run/weights.safetensors")});
    if (!has("weights") && !has("dynamic")) words.insert(words.end(), {"--images", "100"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  static nlohmann::json report_of(const std::string& name, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--out", path(name), "--json"});
    const Outcome outcome = run(quantize(more));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, read(path(name) + "/report.json"));
    return nlohmann::json::parse(outcome.out);
  }
};

TEST_F(Quantize, LosesLittleOfATrainedNetwork) {
  const auto report = report_of("ptq");
  EXPECT_GT(report["fp32"]["top1"].get<double>(), 0.6);
  EXPECT_LE(report["drop_points"].get<double>(), 1.5);
  EXPECT_EQ(report["images"], 200);
  EXPECT_LT(report["int8"]["bytes"].get<double>(), 0.5 * report["fp32"]["bytes"].get<double>());
  // By the rule with the least divergence.
  const auto& trials = report["range_trials"];
  EXPECT_EQ(trials[0]["rule"], "least squared error over the values of 100 images");
  EXPECT_EQ(trials[1]["rule"], "99.99 % of the values of 100 images");
  EXPECT_EQ(trials[2]["rule"], "99.9 % of the values of 100 images");
  EXPECT_EQ(trials[3]["rule"], "least divergence from the values of 100 images");
  const auto best =
      std::min_element(trials.begin(), trials.end(), [](const auto& a, const auto& b) {
        return a["class_divergence"].template get<double>() <
               b["class_divergence"].template get<double>();
      });
  EXPECT_EQ(report["options"]["ranges"], (*best)["rule"]);
  EXPECT_EQ(report["kept_in_fp32"][0]["ops"][0], report["sensitivities"][0]["name"]);
  EXPECT_THAT(report["fp32_results"].get<std::vector<std::string>>(), Contains("classifier"));
  for (const auto& op : report["ops"]) {
    if (op["value"] == "fp32") continue;
    EXPECT_THAT(op["value_rule"].get<std::string>(), HasSubstr(op["value"].get<std::string>()));
  }
  EXPECT_THAT(read(path("ptq/report.html")), HasSubstr("quantizationSection"));
  // What is written is what was measured.
  const QuantizedNetwork network = load_quantized(path("ptq"));
  EXPECT_EQ(network.tensors.at("conv_stem.weight").scalar_type(), torch::kChar);
  EXPECT_TRUE(network.provenance);
}

// bench has the accuracies that quantize measured with the executors, of what oneDNN runs: an image
// between two classes may change sides.
TEST_F(Quantize, GivesWhatTheZooShows) {
  const auto report = report_of("shown");
  const std::string network = path("shown/architecture.yaml"),
                    weights = path("run/weights.safetensors");
  const std::vector<std::string> zoo = {"bench",   network,  "--zoo",     "--seconds", "0",
                                        "--quiet", "--json", "--weights", weights};
  const auto with_data = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"--data", "idx:" + images_});
    return words;
  };
  expect_refused(with_data(zoo), {"--int8-weights", "quantize"});
  expect_refused({"bench", network, "--zoo", "--weights", path("shown")}, {"--int8-weights"});
  std::vector<std::string> both = zoo;
  both.insert(both.end(), {"--int8-weights", path("shown")});
  const Outcome outcome = run(with_data(both));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto records = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0]["precision"], "fp32");
  EXPECT_NEAR(records[0]["top1"].get<double>(), report["fp32"]["top1"].get<double>(), 0.006);
  EXPECT_EQ(records[1]["precision"], "int8");
  EXPECT_NEAR(records[1]["top1"].get<double>(), report["int8"]["top1"].get<double>(), 0.006);
}

TEST_F(Quantize, RepeatsToTheByte) {
  for (const char* name : {"once", "again"}) report_of(name, {"--ranges", "entropy"});
  for (const char* file : {"quantized.yaml", "model.safetensors", "report.json"}) {
    EXPECT_EQ(read(path("once/") + file), read(path("again/") + file)) << file;
  }
}

TEST_F(Quantize, EveryRescueRuns) {
  const std::vector<std::vector<std::string>> rescues = {
      {"--equalize", "--bias-correction", "data"},
      {"--bias-correction", "norms"},
      {"--ranges", "percentile", "--percentile", "99.9"},
      {"--zero-points", "all", "--ranges", "min-max"},
      {"--rounding", "adaround", "--bias-correction", "data"},
      {"--per-tensor", "--keep-fp32", "conv_stem,classifier"}};
  for (size_t i = 0; i < rescues.size(); ++i) {
    const auto report = report_of("rescue" + std::to_string(i), rescues[i]);
    EXPECT_LE(report["drop_points"].get<double>(), 5);
    for (const auto& kept : report["options"]["keep_fp32"]) {
      for (const auto& one : report["sensitivities"]) EXPECT_NE(one["name"], kept);
    }
  }
}

// What runs in fp32, and how much more is stored, are what `describe --head-dtype fp32` prices.
TEST_F(Quantize, KeepsAFloatHeadAsItIsPriced) {
  const auto report = report_of("float-head", {"--float-head"});
  const std::string network = path("float-head/architecture.yaml");
  const Graph lowered = lower(load_architecture(network));
  std::set<std::string> head, multiplying;
  for (size_t i = size_t(head_begin(lowered)); i < lowered.ops.size(); ++i) {
    head.insert(lowered.ops[i].name);
    if (multiplies_weights(lowered.ops[i].kind)) multiplying.insert(lowered.ops[i].name);
  }
  EXPECT_THAT(multiplying, testing::ElementsAre("classifier", "conv_head"));
  EXPECT_EQ(report["options"]["keep_fp32"], nlohmann::json(multiplying));
  const auto without_scales = [&](const std::string& name, const nlohmann::json& of) {
    const QuantizedGraph quantized = load_quantized(path(name)).quantized;
    double bytes = of["int8"]["bytes"].get<double>();
    for (size_t i = 0; i < quantized.graph.ops.size(); ++i) {
      const auto& weight = quantized.weights[i];
      if (weight) bytes -= double(sizeof(float) * weight->scales.size());
      if (name != "float-head" || head.count(quantized.graph.ops[i].name) == 0) continue;
      EXPECT_FALSE(weight || quantized.values[i]) << quantized.graph.ops[i].name;
    }
    return bytes;
  };
  const auto priced = [&](const std::string& head_type) {
    const Outcome outcome = run({"describe", network, "--head-dtype", head_type, "--json"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out)["weight_memory_bytes"].get<double>();
  };
  EXPECT_EQ(without_scales("float-head", report) -
                without_scales("int8-head", report_of("int8-head", {})),
            priced("fp32") - priced("int8"));

  const auto expect_fp32_head = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"bench",  network,     "--precision", "int8",      "--ops",
                                      "--json", "--repeats", "1",           "--seconds", "0"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(words);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    size_t in_fp32 = 0;
    const auto timing = nlohmann::json::parse(outcome.out);
    for (const auto& step : timing["ops"]) {
      if (step["macs"] == 0) continue;
      const bool is_of_head = head.count(step["ops"][0]) > 0;
      EXPECT_EQ(step["type"], is_of_head ? "fp32" : "int8") << step["name"];
      if (!is_of_head) continue;
      EXPECT_THAT(step["kernel"].get<std::string>(), testing::Not(HasSubstr("quantize")));
      ++in_fp32;
    }
    EXPECT_EQ(in_fp32, multiplying.size());
  };
  expect_fp32_head({"--weights", path("float-head")});
  expect_fp32_head({"--float-head"});
  expect_refused({"bench", network, "--float-head"}, {"--precision int8"});
  expect_refused(
      {"bench", network, "--float-head", "--precision", "int8", "--weights", path("float-head")},
      {"quantised already"});
}

TEST_F(Quantize, WeightsAloneAreSmaller) {
  for (const char* method : {"weights", "dynamic"}) {
    const auto report = report_of(method, {"--method", method});
    EXPECT_LE(std::abs(report["drop_points"].get<double>()), 1.5);
    EXPECT_LT(report["int8"]["bytes"].get<double>(), 0.5 * report["fp32"]["bytes"].get<double>());
    EXPECT_FALSE(report["options"].contains("ranges"));
  }
  // An op after rounded inputs is further from fp32.
  const auto noise_of = [&](const std::string& name) {
    const auto report = nlohmann::json::parse(read(path(name) + "/report.json"));
    for (const auto& op : report["ops"]) {
      if (op["name"] == "classifier") return op["signal_to_noise_db"].get<double>();
    }
    return 0.0;
  };
  EXPECT_LT(noise_of("dynamic"), noise_of("weights"));
}

TEST_F(Quantize, TrainsWithItsRoundingSimulated) {
  for (const char* scales : {"lsq", "observed"}) {
    const std::string name = std::string("qat-") + scales;
    const auto report =
        report_of(name, {"--method", "qat", "--scales", scales, "--config", path("train.yaml"),
                         "--epochs", "1", "--learning-rate", "0.0002"});
    const auto& qat = report["options"]["qat"];
    EXPECT_EQ(qat["scales"], scales);
    EXPECT_EQ(qat["epochs"], 1);
    EXPECT_EQ(qat["split"], "test") << "the weights held no images out";
    EXPECT_EQ(qat["qat_top1"].get<double>() < qat["ptq_top1"].get<double>(),
              qat.contains("below_ptq"));
    EXPECT_LE(report["drop_points"].get<double>(), 5);
  }
}

TEST_F(Quantize, TrainingThatIsKilledResumesToTheSameBits) {
  const auto training = [&](const std::string& name, const std::vector<std::string>& more) {
    auto words = quantize(
        {"--method", "qat", "--epochs", "1", "--checkpoint-every", "2", "--out", path(name)});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  ASSERT_EQ(run(training("whole", {})).exit_code, 0);
  const pid_t child = start(training("killed", {}), "killed");
  while (!fs::exists(path("killed/checkpoint.safetensors"))) usleep(1000);
  kill(child, SIGKILL);
  wait_for(child, "killed");
  expect_refused(training("killed", {"--resume", "--seed", "9"}), {"killed"});
  expect_refused(training("killed", {"--resume", "--per-tensor"}), {"killed"});
  ASSERT_EQ(run(training("killed", {"--resume"})).exit_code, 0);
  for (const char* file : {"quantized.yaml", "model.safetensors"}) {
    EXPECT_EQ(read(path("whole/") + file), read(path("killed/") + file)) << file;
  }
}

// Of 400 steps, with a checkpoint every 1000: what there is when it stops, the interrupt has
// written.
TEST_F(Quantize, TrainingThatIsInterruptedWritesACheckpoint) {
  const pid_t child = start(quantize({"--method", "qat", "--epochs", "100", "--checkpoint-every",
                                      "1000", "--out", path("interrupted")}),
                            "interrupted");
  while (!fs::exists(path("interrupted/checkpoint.safetensors"))) usleep(1000);
  kill(child, SIGINT);
  const Outcome outcome = wait_for(child, "interrupted");
  EXPECT_EQ(outcome.exit_code, 130);
  EXPECT_THAT(outcome.err, HasSubstr("--resume continues the run"));
  EXPECT_THAT(read(path("interrupted/log.jsonl")), HasSubstr("loss"));
}

TEST_F(Quantize, RefusesInOneLineAndLeavesNothing) {
  const std::string out = path("refused");
  const auto refused = [&](const std::vector<std::string>& more, const std::string& says) {
    std::vector<std::string> options = more;
    options.insert(options.end(), {"--out", out});
    expect_refused(quantize(options), {says});
    EXPECT_FALSE(fs::exists(out)) << says;
  };
  refused({"--method", "qta"}, "--method");
  refused({"--ranges", "max"}, "--ranges");
  refused({"--percentile", "99"}, "--ranges percentile");
  refused({"--method", "weights", "--zero-points", "all"}, "--zero-points");
  refused({"--epochs", "2"}, "--method qat");
  refused({"--method", "qat", "--scales", "learned"}, "--scales");
  refused({"--method", "qat", "--bias-correction", "data"}, "--bias-correction");
  refused({"--method", "qat", "--rounding", "adaround"}, "--rounding");
  refused({"--rounding", "up"}, "--rounding");
  refused({"--keep-fp32", "conv_stem, conv_stam"}, "did you mean conv_stem");
  refused({"--method", "weights", "--images", "10"}, "--images");
  refused({"--method", "qat", "--config", path("none.yaml")}, "none.yaml");
  refused({"--method", "qat", "--resume"}, "holds no run");
  refused({"--equalize", "--bias-correction", "norms"}, "equalisation");
  expect_refused(quantize({"--out", path("run")}), {"run: holds a run"});
  EXPECT_FALSE(fs::exists(path("run/quantized.yaml")));
  const auto evaluated = [&](const std::string& weights) {
    return std::vector<std::string>{"evaluate", "compact-nano",   "--weights",   weights,
                                    "--data",   "idx:" + images_, "--precision", "int8"};
  };
  expect_refused(evaluated(path("none")), {"none: does not exist"});
  expect_refused(evaluated(path("run")), {"run: holds no quantized.yaml"});
  expect_refused(with({"quantize"}, {"--weights", path("run/weights.safetensors")}), {"--out"});
  expect_refused(quantize({"--out", path("train.yaml/refused")}), {"train.yaml is no folder"});
  auto noise = quantize({"--method", "ptq", "--out", out});
  *std::find(noise.begin(), noise.end(), "ptq") = "qat";
  expect_refused(noise, {"--sensitivity"});
  auto other = quantize({"--out", out});
  *std::find(other.begin(), other.end(), "16") = "24";
  expect_refused(other, {"another network"});

  // Weights so large that a value overflows: no range.
  TensorFile file = read_safetensors(path("run/weights.safetensors"));
  for (auto& [name, tensor] : file.tensors) {
    if (name == "bn1.weight" || name.ends_with("bn.weight")) tensor = tensor * 1e30f;
  }
  write_safetensors(path("large.safetensors"), file);
  expect_refused(with({"quantize"}, {"--weights", path("large.safetensors"), "--out", out}),
                 {"NaN or infin"});
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace ridgewalk
