// Distillation through the command line: a teacher, its soft labels, students of them.
#include "tests/experiments/commands/program.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

class Distill : public Program {
 protected:
  static void SetUpTestSuite() {
    Program::SetUpTestSuite();
    std::ofstream(path("net.yaml")) << R"(name: net
resolution: 28
channels: 1
classes: 10
stem: {block: conv, kernel: 3, stride: 2, width: 8}
stages: [[{block: uib, kernel1: 3, kernel2: 3, stride: 2, expanded: 32, width: 16}],
         [{block: uib, kernel1: 3, kernel2: 3, stride: 2, expanded: 64, width: 24}]]
head: {width: 32, features: 32}
)";
    std::ofstream(path("train.yaml"))
        << "{epochs: 4, batch_size: 50, optimizer: adamw, learning_rate: 0.01}\n";
    std::ofstream(path("flip.yaml"))
        << "{epochs: 4, batch_size: 50, optimizer: adamw, learning_rate: 0.01, flip: true}\n";
    std::ofstream(path("augmentation.yaml")) << "flip: true\nshift: 1\n";
    const Outcome trained = run(train("teacher", {"--config", path("train.yaml"), "--seed", "3"}));
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    EXPECT_THAT(trained.out, HasSubstr("train "));
    EXPECT_THAT(trained.out, HasSubstr("of 500 images without augmentation, search-validation "));
    const Outcome distilled =
        run(distill("labels.safetensors",
                    {"--seed", "3", "--replicas", "2", "--config", path("augmentation.yaml")}));
    ASSERT_EQ(distilled.exit_code, 0) << distilled.err;
    EXPECT_THAT(distilled.out, HasSubstr("2 x 500 training images"));
    EXPECT_THAT(distilled.err, HasSubstr("images/s"));
  }

  static std::string path(const std::string& name) { return folder_ + "/" + name; }
  static std::vector<std::string> with(std::vector<std::string> words,
                                       const std::vector<std::string>& more) {
    words.insert(words.end(), {"--data", "idx:" + images_, "--threads", "2", "--precision", "fp32",
                               "--search-validation", "100"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  static std::vector<std::string> train(const std::string& out,
                                        const std::vector<std::string>& more) {
    return with({"train", path("net.yaml"), "--out", path(out)}, more);
  }
  static std::vector<std::string> distill(const std::string& out,
                                          const std::vector<std::string>& more) {
    return with({"distill", path("net.yaml"), "--weights", path("teacher/weights.safetensors"),
                 "--out", path(out)},
                more);
  }
};

TEST_F(Distill, AStudentLearnsFromTheLabels) {
  // Of another seed: the split is that of the labels.
  const Outcome outcome = run(train("student", {"--config", path("train.yaml"), "--seed", "8",
                                                "--distilled", path("labels.safetensors")}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string result = read(path("student/result.yaml"));
  EXPECT_THAT(result, HasSubstr("teacher: net"));
  for (const char* split : {"split: train", "split: search-validation", "split: test"}) {
    EXPECT_THAT(result, HasSubstr(split));
  }
  const Outcome evaluated =
      run({"evaluate", path("net.yaml"), "--weights", path("student/weights.safetensors"), "--data",
           "idx:" + images_, "--json", "--precision", "fp32"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_GT(nlohmann::json::parse(evaluated.out)["top1"].get<double>(), 0.5);
}

TEST_F(Distill, AConfigurationNamesLabelsOrATeacher) {
  std::ofstream(path("distilled.yaml"))
      << "{epochs: 1, batch_size: 50, distilled: " << path("labels.safetensors") << "}\n";
  std::ofstream(path("online.yaml"))
      << "{epochs: 1, batch_size: 50, teacher: {network: " << path("net.yaml")
      << ", weights: " << path("teacher/weights.safetensors") << ", weight: 0.5}}\n";
  for (const std::string name : {"distilled", "online"}) {
    const Outcome outcome = run(train(name, {"--config", path(name + ".yaml")}));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  }
}

TEST_F(Distill, SharedWeightsAreTrainedOnLabels) {
  std::string text = config();
  text.replace(text.find("learning_rate: 0.002, flip: true"), 32,
               "learning_rate: 0.002, distilled: " + path("labels.safetensors"));
  std::ofstream(path("search.yaml")) << text;
  const Outcome outcome = run({"search", "coarse", "--config", path("search.yaml"), "--out",
                               path("search"), "--seed", "5"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  text.replace(text.find("search_validation: 100"), 22, "search_validation: 90");
  std::ofstream(path("search90.yaml")) << text;
  expect_refused({"search", "coarse", "--config", path("search90.yaml"), "--out", path("never")},
                 {"with 100 training images held out, here are 90"});
}

TEST_F(Distill, GoesOnWhereItWasStopped) {
  const auto labels = [](const std::string& out, const char* replicas, const char* seed) {
    return distill(out,
                   {"--seed", seed, "--replicas", replicas, "--config", path("augmentation.yaml")});
  };
  // What a distillation leaves that was stopped in its second replica.
  ASSERT_EQ(run(labels("again.safetensors.replicas", "1", "3")).exit_code, 0);
  expect_refused(labels("again.safetensors", "2", "4"),
                 {"again.safetensors.replicas", "remove it"});
  EXPECT_FALSE(fs::exists(path("again.safetensors")));
  const Outcome outcome = run(labels("again.safetensors", "2", "3"));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(read(path("again.safetensors")), read(path("labels.safetensors")));
  EXPECT_FALSE(fs::exists(path("again.safetensors.replicas")));
}

TEST_F(Distill, RefusesWhatDoesNotFit) {
  const std::string labels = path("labels.safetensors");
  const auto student = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--distilled", labels});
    return train("never", more);
  };
  expect_refused(student({"--config", path("flip.yaml")}), {"brings its own augmentation"});
  auto others = student({});
  others[std::find(others.begin(), others.end(), "100") - others.begin()] = "90";
  expect_refused(others, {"labels.safetensors", "here are 90", "search validation the same"});
  const std::string other_images = path("other");
  fs::create_directories(other_images);
  for (const auto& entry : fs::directory_iterator(images_)) {
    if (entry.is_regular_file()) fs::copy(entry.path(), other_images);
  }
  {
    std::fstream file(other_images + "/train-images-idx3-ubyte",
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(5000);
    file.put('\1').put('\2').put('\3');
  }
  auto elsewhere = student({});
  elsewhere[std::find(elsewhere.begin(), elsewhere.end(), "idx:" + images_) - elsewhere.begin()] =
      "idx:" + other_images;
  expect_refused(elsewhere, {"other training images"});

  const std::string bytes = read(labels);
  const auto broken = [&](const std::string& text) {
    std::ofstream(path("broken.safetensors"), std::ios::binary) << text;
    return train("never", {"--distilled", path("broken.safetensors")});
  };
  expect_refused(broken(bytes.substr(0, bytes.size() / 2)), {"broken.safetensors", "cut off"});
  std::string flipped = bytes;
  flipped[bytes.size() - 100] = char(flipped[bytes.size() - 100] ^ 1);
  expect_refused(broken(flipped), {"broken.safetensors", "is damaged; remove it and distil again"});
  expect_refused(train("never", {"--distilled", path("teacher/weights.safetensors")}),
                 {"holds no distilled labels"});

  expect_refused(distill("never.safetensors", {"--replicas", "0"}), {"replicas"});
  expect_refused(distill("never.safetensors", {"--top-k", "11"}), {"classes kept"});
  expect_refused(distill("never.safetensors", {"--temperature", "0"}), {"temperature"});
  expect_refused(distill("never.safetensors", {"--config", path("train.yaml")}),
                 {"train.yaml:1", "'epochs'"});
  expect_refused(distill("none/never.safetensors", {}), {"none/never.safetensors"});
  EXPECT_FALSE(fs::exists(path("never")));
  EXPECT_FALSE(fs::exists(path("never.safetensors")));
}

}  // namespace
}  // namespace ridgewalk
