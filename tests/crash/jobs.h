// Five commands that can be resumed, each in about a second, and what they leave.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/crash/process.h"
#include "tests/tiny_images.h"

namespace ridgewalk {

namespace fs = std::filesystem;

inline constexpr int kLease = 1;  // seconds, of workers

struct Job {
  std::string name;
  Words words;                    // without where the results go
  std::string out = {};           // a file in the folder of the results, where they go into a file
  bool has_resume_option = true;  // otherwise the same command resumes
};

// The data, configurations, teacher and supernet of the jobs, and the folder of their results,
// which is the same for every run: reports and configurations name it.
class Workplace {
 public:
  explicit Workplace(const std::string& program) : program_(program) {
    write("net.yaml", R"(name: net
resolution: 28
channels: 1
classes: 10
stem: {block: conv, kernel: 3, stride: 2, width: 8}
stages: [[{block: uib, kernel1: 3, kernel2: 3, stride: 2, expanded: 32, width: 16}]]
head: {width: 32, features: 32}
)");
    write("train.yaml",
          "{epochs: 6, batch_size: 20, optimizer: adamw, learning_rate: 0.01, "
          "flip: true, ema: 0.9}\n");
    write("augmentation.yaml", "flip: true\nshift: 1\n");
    write("search.yaml", "space: fashion-mnist\ndata: idx:" + images_ + R"(
search_validation: 40
seed: 3
threads: 1
precision: fp32
targets: {ridge_point: 31.2, relative_to: compact-nano}
random_tolerance: 0.2
reward: {form: absolute, beta: -2}
weights: {batch_size: 8, validation_batch_size: 20, optimizer: adamw, learning_rate: 0.002, flip: true, ema: 0.9}
coarse: {steps: 4, samples_per_step: 2, controller_delay: 0.5, controller_learning_rate: 0.1, candidates: 4, fair: true}
fine: {steps: 4, samples_per_step: 3, sandwich: true, controller_learning_rate: 0.1, candidates: 4, warm_start: true}
hybrid: {steps: 3, samples_per_step: 2, controller_learning_rate: 0.1, warm_start: true, latency_factor: 1.2}
single: {steps: 10, samples_per_step: 2, method: random, evaluations: 6, tolerance: 0.2}
train: {epochs: 1, batch_size: 20, optimizer: adamw, learning_rate: 0.005}
report_ridge_points: [0, 500]
checkpoint_every: 2
)");
  }
  ~Workplace() { fs::remove_all(images_); }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

  std::string path(const std::string& name) const { return images_ + "/" + name; }
  std::string results_folder() const { return path("results"); }

  Job job(const std::string& name) {
    if (name == "search") return {name, {"search", "all", "--config", path("search.yaml")}};
    if (name == "train") return {name, with_data({"train", path("net.yaml")}, {"--seed", "3"})};
    if (name == "distill") {
      prepare(with_data({"train", path("net.yaml"), "--out", path("teacher")}, {}));
      return {.name = name,
              .words = with_data(
                  {"distill", path("net.yaml"), "--weights", path("teacher/weights.safetensors")},
                  {"--replicas", "4", "--batch-size", "10"}, path("augmentation.yaml")),
              .out = "labels.safetensors",
              .has_resume_option = false};
    }
    if (name == "rank") {
      prepare({"search", "single", "--config", path("search.yaml"), "--out", path("supernet")});
      return {name, {"rank", path("supernet"), "--networks", "3", "--tolerance", "0.2"}};
    }
    if (name == "compare") {
      return {.name = name,
              .words = {"compare", "--config", path("search.yaml"), "--seeds", "1",
                        "--random-networks", "1"},
              .has_resume_option = false};
    }
    throw std::runtime_error("there is no job " + name);
  }

  // Starts the job, or resumes it where its folder holds something to resume.
  Process start(const Job& job, const Words& environment) const {
    Words words = command(job);
    if (job.has_resume_option && fs::exists(results_folder() + "/checkpoint.safetensors")) {
      words.emplace_back("--resume");
    }
    return {words, environment, path("stderr")};
  }

  // Starts one of several processes that share out the work of the job. Each is told by its number.
  std::unique_ptr<Process> start_worker(const Job& job, int number,
                                        const Words& environment) const {
    Words words = command(job);
    words.insert(words.end(), {"--workers", path("workers"), "--lease", std::to_string(kLease)});
    return std::make_unique<Process>(words, environment, path("stderr." + std::to_string(number)));
  }

  bool has_results() const {
    return fs::exists(results_folder()) && !fs::is_empty(results_folder());
  }

  // A folder for the results of a job that has not begun.
  void clear(const Job& job) const {
    fs::remove_all(results_folder());
    fs::remove_all(path("workers"));
    if (!job.out.empty()) fs::create_directories(results_folder());
  }

  // What a job left: all its files but the checkpoints, without what differs from run to run.
  std::map<std::string, std::string> results() const {
    std::map<std::string, std::string> files;
    if (!fs::exists(results_folder())) return files;  // whose making was refused
    for (const auto& entry : fs::recursive_directory_iterator(results_folder())) {
      if (!entry.is_regular_file()) continue;
      const std::string name = fs::relative(entry.path(), results_folder());
      if (entry.path().filename() == "checkpoint.safetensors") continue;
      files[name] = without_times(name, read_text(entry.path()));
    }
    return files;
  }

 private:
  Words command(const Job& job) const {
    Words words{program_};
    words.insert(words.end(), job.words.begin(), job.words.end());
    const std::string out = job.out.empty() ? results_folder() : results_folder() + "/" + job.out;
    words.insert(words.end(), {"--out", out, "--quiet"});
    return words;
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
  }

  Words with_data(Words words, const Words& more, const std::string& config = "") const {
    words.insert(words.end(), {"--data", "idx:" + images_, "--threads", "1", "--precision", "fp32",
                               "--search-validation", "20", "--config",
                               config.empty() ? path("train.yaml") : config});
    if (words[0] == "train") words.insert(words.end(), {"--checkpoint-every", "3"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  void prepare(Words words) const {
    words.insert(words.begin(), program_);
    words.emplace_back("--quiet");
    const Ending ending = Process(words, {}, path("stderr")).wait();
    if (ending.exit_code != 0) throw std::runtime_error(ending.err);
  }

  // The one place that says what may differ between two runs: wall times, rates, memory and the
  // date of a report.
  static std::string without_times(const std::string& name, std::string text) {
    if (name.ends_with(".csv")) {
      const std::string column = ",search_seconds";
      const size_t header = text.find('\n');
      if (header == std::string::npos || !text.substr(0, header).ends_with(column)) return text;
      std::string kept;
      for (size_t begin = 0, end; (end = text.find('\n', begin)) < text.size(); begin = end + 1) {
        const std::string line = text.substr(begin, end - begin);
        kept += line.substr(0, line.rfind(',')) + "\n";
      }
      return kept;
    }
    if (!name.ends_with(".html") && !name.ends_with(".yaml")) return text;
    // The value after each of these is left out; it may be null.
    for (const std::string key : {"search_seconds: ", "search_seconds:\n      mean: ",
                                  "\"search_seconds\":", "\"seconds\":", "\"images_per_second\":",
                                  "\"loader\":", "\"peak_memory_mib\":", "\"created\":"}) {
      for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
        const size_t value = at + key.size();
        text.erase(value, std::min(text.find_first_of(",}\n", value), text.size()) - value);
      }
    }
    return text;
  }

  std::string program_;
  std::string images_ = write_tiny_images(120, 40);
};

// Files by name, bit for bit.
inline void expect_same(const std::map<std::string, std::string>& results,
                        const std::map<std::string, std::string>& expected) {
  const auto names_of = [](const std::map<std::string, std::string>& files) {
    std::vector<std::string> names;
    for (const auto& [name, text] : files) names.push_back(name);
    return names;
  };
  ASSERT_EQ(names_of(results), names_of(expected));
  for (const auto& [name, text] : results) EXPECT_TRUE(text == expected.at(name)) << name;
}

}  // namespace ridgewalk
