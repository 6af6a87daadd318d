// The program as a user runs it: kills, resumes, bad input.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/tiny_images.h"

#ifndef RIDGEWALK_PROGRAM
#error "the build defines RIDGEWALK_PROGRAM"
#endif

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct Outcome {
  int exit_code;  // -1 when killed by a signal
  std::string out, err;
};

class Program : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    images_ = write_tiny_images(600, 200);
    folder_ = images_ + "/work";
    fs::create_directories(folder_);
    std::ofstream(folder_ + "/config.yaml") << config();
  }
  static void TearDownTestSuite() { fs::remove_all(images_); }

  // A whole search in seconds.
  static std::string config(const std::string& target = "factor: 0.15",
                            const std::string& extra = "") {
    return "space: fashion-mnist\ndata: idx:" + images_ + R"(
search_validation: 100
seed: 3
threads: 2
precision: fp32
targets:
  - {profile: pixel6-cpu, relative_to: mnv4-conv-small, )" +
           target + R"(}
reward: {form: absolute, beta: -2}
weights: {batch_size: 16, validation_batch_size: 50, optimizer: adamw, learning_rate: 0.002, flip: true}
coarse: {steps: 12, samples_per_step: 2, controller_learning_rate: 0.1, candidates: 40}
fine: {steps: 12, samples_per_step: 2, controller_learning_rate: 0.1, candidates: 40, warm_start: true}
hybrid: {steps: 8, samples_per_step: 2, controller_learning_rate: 0.1, warm_start: true, latency_factor: 1.2}
train: {epochs: 1, batch_size: 50, optimizer: adamw, learning_rate: 0.005}
report_ridge_points: [0, 31.2, 500]
checkpoint_every: 2
)" + extra;
  }

  static pid_t start(const std::vector<std::string>& arguments, const std::string& name) {
    const pid_t child = fork();
    if (child != 0) return child;
    const auto redirect = [&](int descriptor, const std::string& file) {
      const int opened = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      dup2(opened, descriptor);
    };
    redirect(STDOUT_FILENO, folder_ + "/" + name + ".out");
    redirect(STDERR_FILENO, folder_ + "/" + name + ".err");
    std::vector<char*> words{const_cast<char*>(RIDGEWALK_PROGRAM)};
    for (const std::string& argument : arguments)
      words.push_back(const_cast<char*>(argument.c_str()));
    words.push_back(nullptr);
    execv(RIDGEWALK_PROGRAM, words.data());
    _exit(127);
  }

  static Outcome wait_for(pid_t child, const std::string& name) {
    int status = 0;
    waitpid(child, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(folder_ + "/" + name + ".out"),
            read(folder_ + "/" + name + ".err")};
  }

  static Outcome run(const std::vector<std::string>& arguments) {
    return wait_for(start(arguments, "command"), "command");
  }

  static std::string read(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  static std::vector<std::string> search(const std::string& out, bool resume = false) {
    std::vector<std::string> words{"search", "all", "--config", folder_ + "/config.yaml",
                                   "--out",  out};
    if (resume) words.push_back("--resume");
    return words;
  }

  static void expect_refused(const std::vector<std::string>& arguments,
                             const std::vector<std::string>& says) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    for (const std::string& text : says) EXPECT_THAT(outcome.err, HasSubstr(text));
  }

  // Everything that a run leaves but its checkpoint and report, which hold wall times.
  static std::map<std::string, std::string> results(const std::string& out) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(out)) {
      const std::string name = entry.path().filename();
      if (name != "checkpoint.safetensors" && name != "report.html")
        files[name] = read(entry.path());
    }
    return files;
  }

  static void expect_same(const std::string& a, const std::string& b) {
    const auto left = results(a);
    const auto right = results(b);
    EXPECT_GE(left.size(), 13u);
    ASSERT_EQ(left.size(), right.size());
    for (const auto& [name, bytes] : left) EXPECT_TRUE(right.at(name) == bytes) << name;
  }

  static inline std::string images_, folder_;
};

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
    const pid_t child = start(search(killed, started), "killed");
    std::this_thread::sleep_for(length * (0.1 + 0.25 * double(random() % 1000) / 1000));
    kill(child, SIGKILL);
    const Outcome stopped = wait_for(child, "killed");
    ASSERT_TRUE(stopped.exit_code == -1 || stopped.exit_code == 0) << stopped.err;
    started = started || fs::exists(killed + "/checkpoint.safetensors");
    if (stopped.exit_code == 0) break;
    ++kills;
  }
  EXPECT_GT(kills, 0);
  const Outcome resumed = run(search(killed, true));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(read(killed + "/result.yaml"), read(whole + "/result.yaml"));
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
  refused({"mobilenet-v1", "--points", "1"}, {"two ends"});
  EXPECT_FALSE(fs::exists(path("never-swept")));
}

TEST_F(Program, RefusesBadInputInOneLineAndExits2) {
  const auto file = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  };
  const auto search_with = [&](const std::string& config_file) {
    return std::vector<std::string>{"search",    "all",   "--config",
                                    config_file, "--out", folder_ + "/never"};
  };
  expect_refused({"serach"}, {"no command 'serach'"});
  expect_refused({"describe", "mobilenet-v9"}, {"mobilenet-v9", "mnv4-conv-small"});
  expect_refused({"describe", "mnv4-conv-small", "--resolution", "x"}, {"resolution"});
  expect_refused({"describe", "mnv4-conv-small", "--colour"}, {"colour"});
  expect_refused({"describe"}, {"usage"});
  expect_refused({"search", "--config", "/no/such.yaml", "--out", "x"},
                 {"/no/such.yaml", "cannot be read"});
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
                 {"empty-space.yaml:4", "empty choice"});
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

// A network leaves for other tools and comes back: train, export both ways, evaluate both,
// fine-tune.
TEST_F(Program, ANetworkLeavesAndComesBack) {
  const std::string data = "idx:" + images_;
  const auto with = [&](std::vector<std::string> words, std::vector<std::string> more) {
    words.insert(words.end(), {"custom", "--base", "8", "--expanded", "16", "--n3", "1", "--hidden",
                               "32", "--resolution", "28", "--channels", "1"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const auto path = [&](const std::string& name) { return folder_ + "/" + name; };
  const auto accuracy = [&](const std::string& weights) {
    const Outcome outcome =
        run(with({"evaluate"}, {"--classes", "10", "--weights", weights, "--data", data, "--json",
                                "--precision", "fp32"}));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    const auto json = nlohmann::json::parse(outcome.out);
    EXPECT_EQ(json.at("split"), "test");
    EXPECT_GT(json.at("images_per_second").get<double>(), 0);
    EXPECT_GE(json.at("top5").get<double>(), json.at("top1").get<double>());
    return json.at("loss").get<double>();
  };
  std::ofstream(path("short.yaml")) << "epochs: 2\nbatch_size: 50\noptimizer: adamw\n"
                                       "learning_rate: 0.01\n";
  ASSERT_EQ(run(with({"train"}, {"--classes", "10", "--data", data, "--config", path("short.yaml"),
                                 "--out", path("leaves")}))
                .exit_code,
            0);
  const std::string weights = path("leaves/weights.safetensors");
  for (const auto& [format, file, option] :
       {std::tuple("onnx", "net.onnx", "--quiet"), std::tuple("onnx", "kept.onnx", "--no-fold"),
        std::tuple("safetensors", "net.safetensors", "--quiet")}) {
    const Outcome outcome =
        run(with({"export"}, {"--classes", "10", "--weights", weights, "--format", format, "--out",
                              path(file), option}));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NEAR(accuracy(path(file)), accuracy(weights), 1e-4) << file;
  }
  expect_refused(with({"evaluate"}, {"--classes", "7", "--weights", weights, "--data", data}),
                 {"--classes"});
  expect_refused(with({"export"}, {"--classes", "7", "--weights", weights, "--format", "onnx",
                                   "--out", path("never.onnx")}),
                 {"classifier.weight", "--reset-head"});
  expect_refused(with({"export"}, {"--format", "onnx", "--out", path("none/never.onnx")}),
                 {"none/never.onnx"});
  expect_refused(with({"export"}, {"--format", "tflite", "--out", path("never")}),
                 {"--format must be"});
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
