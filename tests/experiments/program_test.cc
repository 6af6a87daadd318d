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
  expect_refused({"bench"}, {"usage"});
  expect_refused({"bench", "compact-nano", "--batch", "0"}, {"--batch"});
  expect_refused({"bench", "compact-nano", "--repeats", "0"}, {"repeats"});
  expect_refused({"bench", "compact-nano", "--seconds", "-1"}, {"seconds"});
  expect_refused({"bench", "compact-nano", "--precision", "int4"}, {"int4"});
  expect_refused({"bench", "compact-nano", "compact-small", "--weights", "w"}, {"single"});
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
