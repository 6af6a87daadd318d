// The program as a user runs it: kills, resumes, bad input.
#include "tests/experiments/commands/program.h"

#include <signal.h>

#include <chrono>
#include <random>
#include <thread>

namespace ridgewalk {
namespace {

using testing::HasSubstr;

TEST_F(Program, ARunKilledAtAnyMomentEndsAsOneLeftAlone) {
  const std::string whole = folder_ + "/whole";
  const std::string killed = folder_ + "/killed";
  const auto begin = std::chrono::steady_clock::now();
  const Outcome outcome = run(search(whole));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto length = std::chrono::steady_clock::now() - begin;
  EXPECT_THAT(outcome.out, HasSubstr("found-conv"));
  EXPECT_THAT(outcome.out, HasSubstr("report: " + whole + "/report.html"));

  ASSERT_EQ(run({"sweep", whole, "--out", folder_ + "/swept"}).exit_code, 0);
  const auto swept = nlohmann::json::parse(read(folder_ + "/swept/sweep.json"));
  ASSERT_EQ(swept["networks"].size(), 4u);
  EXPECT_EQ(swept["networks"][0]["name"], "found-conv");
  for (const auto& network : swept["networks"]) {
    EXPECT_EQ(network["accuracy"]["images"], "idx:" + images_ + " test");
  }

  std::mt19937_64 random(std::random_device{}());
  int kills = 0;
  bool started = false;
  for (int tries = 0; tries < 8; ++tries) {
    const pid_t child = start(search(killed, started, 1 + tries % 3), "killed");
    std::this_thread::sleep_for(length * (0.1 + 0.25 * double(random() % 1000) / 1000));
    kill(child, SIGKILL);
    const Outcome stopped = wait_for(child, "killed");
    ASSERT_TRUE(stopped.exit_code == -1 || stopped.exit_code == 0) << stopped.err;
    started = started || fs::exists(killed + "/checkpoint.safetensors");
    if (stopped.exit_code == 0) break;
    ++kills;
  }
  EXPECT_GT(kills, 0);
  const Outcome resumed = run(search(killed, true, 3));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(read(killed + "/result.yaml"), read(whole + "/result.yaml"));
  EXPECT_EQ(read(killed + "/environment.yaml"), read(whole + "/environment.yaml"));
  expect_same(whole, killed);
}

TEST_F(Program, AnInterruptWritesACheckpointAndExits130) {
  const std::string whole = folder_ + "/term-whole";
  const std::string out = folder_ + "/term";
  const std::vector<std::string> common{"train",
                                        folder_ + "/net.yaml",
                                        "--data",
                                        "idx:" + images_,
                                        "--checkpoint-every",
                                        "100000",
                                        "--config",
                                        folder_ + "/train.yaml",
                                        "--threads",
                                        "2",
                                        "--precision",
                                        "fp32"};
  ASSERT_EQ(run({"describe", "mnv4-conv-small", "--json"}).exit_code, 0);
  std::ofstream(folder_ + "/net.yaml") << R"(name: net
resolution: 28
channels: 1
classes: 10
stem: {block: conv, kernel: 3, stride: 2, width: 8}
stages: [[{block: uib, kernel1: 3, kernel2: 3, stride: 2, expanded: 32, width: 16}]]
head: {width: 32, features: 32}
)";
  std::ofstream(folder_ + "/train.yaml")
      << "{epochs: 30, batch_size: 50, optimizer: adamw, learning_rate: 0.005, flip: true}\n";
  const auto with = [&](const std::string& to, bool resume) {
    auto words = common;
    words.insert(words.end(), {"--out", to});
    if (resume) words.push_back("--resume");
    return words;
  };
  ASSERT_EQ(run(with(whole, false)).exit_code, 0);
  const pid_t child = start(with(out, false), "term");
  while (!fs::exists(out + "/checkpoint.safetensors"))
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  kill(child, SIGTERM);
  const Outcome stopped = wait_for(child, "term");
  if (stopped.exit_code != 0) {  // else it was done before the signal came
    EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
    EXPECT_THAT(stopped.err, HasSubstr("--resume"));
    ASSERT_EQ(run(with(out, true)).exit_code, 0);
  }
  EXPECT_EQ(read(out + "/weights.safetensors"), read(whole + "/weights.safetensors"));
  EXPECT_EQ(read(out + "/log.jsonl"), read(whole + "/log.jsonl"));

  const Outcome evaluated =
      run({"evaluate", folder_ + "/net.yaml", "--weights", out + "/weights.safetensors", "--data",
           "idx:" + images_, "--json", "--precision", "fp32"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_GT(nlohmann::json::parse(evaluated.out)["top1"].get<double>(), 0.5);
}

TEST_F(Program, TellsItsVersion) {
  const Outcome outcome = run({"--version"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, testing::StartsWith("ridgewalk "));
  for (const char* name : {"\ncompiler ", "\nlibtorch ", "\nonednn ", "\nonnx ", "\nthreads "}) {
    EXPECT_THAT(outcome.out, HasSubstr(name));
  }
}

TEST_F(Program, DescribesACatalogueNetwork) {
  const Outcome outcome = run({"describe", "mnv4-conv-small", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto description = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(description["parameters"], 3774024);
  EXPECT_EQ(description["macs"], 186005568);
  EXPECT_EQ(description["attention_macs"], 0);
  EXPECT_EQ(description["ops"][0]["name"], "conv_stem");
  EXPECT_THAT(run({"describe", "mnv4-hybrid-medium"}).out, HasSubstr("1271183360"));
}

TEST_F(Program, RefusesBadInputInOneLineAndExits2) {
  expect_refused({"serach"}, {"no command 'serach'"});
  expect_refused({"describe", "mobilenet-v9"}, {"mobilenet-v9", "did you mean mobilenet-v1"});
  expect_refused({"describe", "mnv4-conv-small", "--resolution", "x"}, {"resolution"});
  expect_refused({"describe", "mnv4-conv-small", "--colour"}, {"colour"});
  expect_refused({"describe"}, {"usage"});
  expect_refused({"bench"}, {"usage"});
  expect_refused({"bench", "compact-nano", "--batch", "0"}, {"--batch"});
  expect_refused({"bench", "compact-nano", "--repeats", "0"}, {"repeats"});
  expect_refused({"bench", "compact-nano", "--seconds", "-1"}, {"seconds"});
  expect_refused({"bench", "compact-nano", "--precision", "int4"}, {"int4"});
  expect_refused({"bench", "compact-nano", "compact-small", "--weights", "w"}, {"single"});
  expect_refused({"search", "--config", "/no/such.yaml", "--out", "x"},
                 {"/no/such.yaml", "cannot be read"});
  expect_refused({"search", "all", "--config", folder_ + "/config.yaml", "--out", "/dev/null/run"},
                 {"/dev/null/run", "choose another --out"});
  expect_refused(
      {"search", "fine", "--config", folder_ + "/config.yaml", "--out", folder_ + "/never"},
      {"--from"});
  expect_refused({"sweep", "mnv4-conv-small", "--out", "/dev/null/x"}, {"/dev/null/x"});
  expect_refused({"sweep", "mnv4-conv-small", "--ridge", "5:2", "--out", folder_ + "/never"},
                 {"5"});
  expect_refused({"evaluate", "mnv4-conv-small", "--weights", folder_ + "/config.yaml", "--data",
                  "idx:" + images_, "--channels", "1", "--classes", "10"},
                 {"config.yaml"});
  expect_refused(
      {"train", "mnv4-conv-small", "--data", "idx:" + images_, "--out", folder_ + "/never"},
      {"--channels"});
  EXPECT_FALSE(fs::exists(folder_ + "/never"));
}

TEST_F(Program, RefusesBadConfigurationsAndData) {
  const auto file = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  };
  const auto search_with = [&](const std::string& config_file) {
    return std::vector<std::string>{"search",    "all",   "--config",
                                    config_file, "--out", folder_ + "/never"};
  };
  expect_refused(search_with(file("unknown.yaml", config() + "stepz: 3\n")),
                 {"unknown.yaml:", "'stepz'"});
  expect_refused(search_with(file("missing.yaml", "space: fashion-mnist\n")),
                 {"missing.yaml:", "'data'"});
  expect_refused(
      search_with(file("type.yaml", config("factor: 0.15", "checkpoint_every: often\n"))),
      {"type.yaml"});
  expect_refused(search_with(file("reach.yaml", config("factor: 50"))),
                 {"pixel6-cpu", "reachable is"});
  file("empty-space.yaml",
       "name: e\nresolution: 28\nstem: {width: 8}\nstages: [{width: []}]\nhead: {}\n");
  std::string with_empty = config();
  with_empty.replace(with_empty.find("fashion-mnist"), 13, folder_ + "/empty-space.yaml");
  expect_refused(search_with(file("empty.yaml", with_empty)),
                 {"empty-space.yaml:4", "'width' is empty"});

  const std::string cut = folder_ + "/cut";
  fs::create_directories(cut);
  fs::copy(images_, cut);  // its files, not its folders
  fs::resize_file(cut + "/train-images-idx3-ubyte", 1000);
  std::string with_cut = config();
  with_cut.replace(with_cut.find("idx:" + images_), 4 + images_.size(), "idx:" + cut);
  expect_refused(search_with(file("cut.yaml", with_cut)),
                 {"train-images-idx3-ubyte", "ends too early"});
  EXPECT_FALSE(fs::exists(folder_ + "/never"));
}

// A trained network that leaves for other tools and comes back.
class Leaving : public Program {
 protected:
  static void SetUpTestSuite() {
    Program::SetUpTestSuite();
    data_ = "idx:" + images_;
    std::ofstream(path("short.yaml")) << "epochs: 2\nbatch_size: 50\noptimizer: adamw\n"
                                         "learning_rate: 0.01\n";
    ASSERT_EQ(run(with({"train"}, {"--classes", "10", "--data", data_, "--config",
                                   path("short.yaml"), "--out", path("leaves")}))
                  .exit_code,
              0);
    weights_ = path("leaves/weights.safetensors");
  }

  static std::vector<std::string> with(std::vector<std::string> words,
                                       const std::vector<std::string>& more) {
    words.insert(words.end(), {"custom", "--base", "8", "--expanded", "16", "--n3", "1", "--hidden",
                               "32", "--resolution", "28", "--channels", "1"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  static std::string path(const std::string& name) { return folder_ + "/" + name; }

  // The loss on the test images.
  static double loss(const std::string& weights) {
    const Outcome outcome =
        run(with({"evaluate"}, {"--classes", "10", "--weights", weights, "--data", data_, "--json",
                                "--precision", "fp32"}));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    const auto json = nlohmann::json::parse(outcome.out);
    EXPECT_EQ(json.at("split"), "test");
    EXPECT_GT(json.at("images_per_second").get<double>(), 0);
    EXPECT_GE(json.at("top5").get<double>(), json.at("top1").get<double>());
    return json.at("loss").get<double>();
  }

  static inline std::string data_, weights_;
};

TEST_F(Leaving, ComesBackFromEveryFormat) {
  for (const auto& [format, file, option] :
       {std::tuple("onnx", "net.onnx", "--quiet"), std::tuple("onnx", "kept.onnx", "--no-fold"),
        std::tuple("safetensors", "net.safetensors", "--quiet")}) {
    const Outcome outcome =
        run(with({"export"}, {"--classes", "10", "--weights", weights_, "--format", format, "--out",
                              path(file), option}));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NEAR(loss(path(file)), loss(weights_), 1e-4) << file;
  }
}

// What a toolchain needs to know: of pixels as bytes.
TEST_F(Leaving, TellsAToolchainWhatItNeeds) {
  const Outcome exported = run(
      with({"export"}, {"--classes", "10", "--weights", weights_, "--format", "onnx", "--out",
                        path("chip.onnx"), "--opset", "11", "--batch", "1", "--preprocessing"}));
  EXPECT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_NEAR(loss(path("chip.onnx")), loss(weights_), 1e-4);
  std::ifstream preprocessing(path("chip.onnx.yaml"));
  const std::string text(std::istreambuf_iterator<char>(preprocessing), {});
  EXPECT_THAT(text, HasSubstr("input: images\nlayout: NCHW\nshape: [1, 1, 28, 28]\n"));
  expect_refused(with({"export"}, {"--classes", "10", "--weights", path("chip.onnx"), "--format",
                                   "onnx", "--out", path("never.onnx")}),
                 {"chip.onnx: export reads safetensors"});
}

TEST_F(Leaving, ElsewhereIsRefused) {
  expect_refused(with({"export"}, {"--classes", "10", "--format", "onnx", "--out",
                                   path("never.onnx"), "--preprocessing"}),
                 {"--preprocessing: fresh weights do not say"});
  fs::create_directory(path("never.onnx.yaml"));
  expect_refused(with({"export"}, {"--classes", "10", "--weights", weights_, "--format", "onnx",
                                   "--out", path("never.onnx"), "--preprocessing"}),
                 {"never.onnx.yaml"});
  expect_refused(with({"export"}, {"--classes", "10", "--format", "safetensors", "--out",
                                   path("never"), "--features"}),
                 {"--features is for ONNX"});
  expect_refused(with({"evaluate"}, {"--classes", "7", "--weights", weights_, "--data", data_}),
                 {"--classes"});
  expect_refused(with({"export"}, {"--classes", "7", "--weights", weights_, "--format", "onnx",
                                   "--out", path("never.onnx")}),
                 {"classifier.weight", "--reset-head"});
  expect_refused(with({"export"}, {"--format", "onnx", "--out", path("none/never.onnx")}),
                 {"none/never.onnx"});
  expect_refused(with({"export"}, {"--format", "tflite", "--out", path("never")}),
                 {"--format: no format is named 'tflite'"});
  EXPECT_FALSE(fs::exists(path("never.onnx")));
}

TEST_F(Program, DescribesAnyNetwork) {
  const auto described = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "describe");
    words.push_back("--json");
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  EXPECT_EQ(described({"mnv4-hybrid-medium-paper"}).at("macs"), 1296988160);
  EXPECT_EQ(described({"mobilenet-v1", "--classes", "10", "--channels", "1"}).at("parameters"),
            4231976 - 990 * 1025 - 2 * 9 * 32);
  const auto nano = described({"compact-nano"});
  const auto custom = described({"custom", "--base", "24", "--expanded", "64"});
  EXPECT_EQ(custom.at("parameters"), nano.at("parameters"));
  EXPECT_EQ(custom.at("ops"), nano.at("ops"));
  expect_refused({"describe", "custom", "--base", "24", "--heads", "5"}, {"5 heads"});
  expect_refused({"describe", "mobilenet-v2", "--base", "24"}, {"--base", "custom"});
  expect_refused({"describe", "mobilenet-v2-000"}, {"multiplier"});
}

TEST_F(Program, RefusesTheCheckpointOfAnotherConfiguration) {
  const std::string out = folder_ + "/other";
  std::string words = config();
  const pid_t child = start(search(out), "other");
  while (!fs::exists(out + "/checkpoint.safetensors"))
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  expect_refused(search(out, true), {"another ridgewalk is running"});
  kill(child, SIGKILL);
  wait_for(child, "other");
  auto other_seed = search(out, true);
  other_seed.insert(other_seed.end(), {"--seed", "99"});
  expect_refused(other_seed, {"another configuration"});
  expect_refused(search(out), {"--resume"});
}

TEST_F(Program, StopsOnALossThatIsNotFinite) {
  std::string bad = config();
  bad.replace(bad.find("optimizer: adamw, learning_rate: 0.002"), 38,
              "optimizer: sgd, learning_rate: 100, warmup: 0");
  std::ofstream(folder_ + "/diverges.yaml") << bad;
  const Outcome outcome = run(
      {"search", "coarse", "--config", folder_ + "/diverges.yaml", "--out", folder_ + "/diverges"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("not finite at step"));
  EXPECT_THAT(outcome.err, HasSubstr("stages.1.width="));
  EXPECT_THAT(outcome.err, HasSubstr("checkpoint.safetensors, step"));
}

}  // namespace
}  // namespace ridgewalk
