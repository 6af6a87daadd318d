// What runs and weights know of the data they come from, through the command line.
#include "supernet/formats/safetensors.h"
#include "tests/experiments/commands/program.h"
#include "tests/image_files.h"

namespace ridgewalk {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class KnownData : public Program {
 protected:
  // Two classes told apart by their hue, 24 images each to train on and 10 to test with.
  static std::string write_images(const std::string& name) {
    const fs::path folder = path(name);
    for (const auto& [part, count] : {std::pair("train", 24), {"test", 10}}) {
      for (int label = 0; label < 2; ++label) {
        const fs::path to = folder / part / (label ? "cat" : "ant");
        fs::create_directories(to);
        for (int i = 0; i < count; ++i) {
          const Image image = image_of(32, 32, 3, [&](int y, int x, int c) {
            return (c == label ? 150 : 50) + (7 * x + 13 * y + 3 * i) % 70;
          });
          std::ofstream(to / (std::to_string(i) + ".png"), std::ios::binary) << png_of(image);
        }
      }
    }
    return "imagefolder:" + folder.string();
  }

  static std::string path(const std::string& name) { return folder_ + "/" + name; }
  static std::vector<std::string> with(std::vector<std::string> words,
                                       const std::vector<std::string>& more) {
    words.insert(words.end(),
                 {"custom", "--base", "8", "--expanded", "16", "--n3", "0", "--hidden", "16",
                  "--resolution", "32", "--classes", "2", "--threads", "1", "--precision", "fp32"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  static std::vector<std::string> train(const std::string& data, const std::string& out,
                                        const std::vector<std::string>& more = {}) {
    std::ofstream(path("train.yaml")) << "{epochs: 2, batch_size: 8, learning_rate: 0.05}\n";
    auto words = with({"train"}, {"--data", data, "--out", path(out), "--config",
                                  path("train.yaml"), "--checkpoint-every", "2"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  static std::string weights_of(const std::string& run) {
    return path(run) + "/weights.safetensors";
  }
  static std::vector<std::string> evaluate(const std::string& data, const std::string& weights,
                                           const std::string& also = "--json") {
    return with({"evaluate"}, {"--data", data, "--weights", weights, also});
  }
  static Outcome succeeds(const std::vector<std::string>& words) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome;
  }
  static nlohmann::json json_of(const std::vector<std::string>& words) {
    return nlohmann::json::parse(succeeds(words).out);
  }
  static void swap_folders(const std::string& one, const std::string& other) {
    fs::rename(one, one + "-");
    fs::rename(other, one);
    fs::rename(one + "-", other);
  }
};

TEST_F(KnownData, WhatCannotBeDecodedIsNeitherRightNorWrong) {
  const std::string data = write_images("damaged");
  succeeds(train(data, "of-damaged"));
  const std::string weights = weights_of("of-damaged");
  for (int i = 0; i < 9; ++i) {
    fs::resize_file(path("damaged/test/ant/" + std::to_string(i) + ".png"), 50);
  }
  nlohmann::json result = json_of(evaluate(data, weights));
  EXPECT_EQ(result["images"], 11);
  EXPECT_EQ(result["undecodable"], 9);
  EXPECT_TRUE(result["classes_without_images"].empty());
  fs::resize_file(path("damaged/test/ant/9.png"), 0);
  result = json_of(evaluate(data, weights));
  EXPECT_EQ(result["images"], 10);
  EXPECT_EQ(result["undecodable"], 10);
  EXPECT_EQ(result["classes_without_images"], nlohmann::json{"'ant'"});
  EXPECT_THAT(succeeds(evaluate(data, weights, "--quiet")).out,
              AllOf(HasSubstr("on the 10 test images"), HasSubstr("left out: 10 images"),
                    HasSubstr("class 'ant' has no image that can be read")));
  succeeds(train(data, "of-damaged-test"));
  EXPECT_THAT(read(path("of-damaged-test/result.yaml")),
              AllOf(HasSubstr("images: 10\n  undecodable: 10\n"), HasSubstr("ant")));
}

TEST_F(KnownData, ClassesAndPicturesThatAreLeftOutAreNamed) {
  const std::string data = write_images("partly");
  const auto test = [](int i, const char* extension) {
    return path("partly/test/cat/" + std::to_string(i) + extension);
  };
  succeeds(train(data, "of-partly"));
  const std::string weights = weights_of("of-partly");
  for (int i = 0; i < 10; ++i) {
    fs::rename(test(i, ".png"), test(i, ".webp"));
    std::ofstream(test(i, ".webp"), std::ios::binary) << "RIFF    WEBPVP8 ";
  }
  nlohmann::json result = json_of(evaluate(data, weights));
  EXPECT_EQ(result["images"], 10);
  EXPECT_EQ(result["undecodable"], 10);
  EXPECT_EQ(result["classes_without_images"], nlohmann::json{"'cat'"});
  for (int i = 0; i < 10; ++i) fs::remove(test(i, ".webp"));
  result = json_of(evaluate(data, weights));
  EXPECT_EQ(result["images"], 10);
  EXPECT_EQ(result["undecodable"], 0);
  EXPECT_EQ(result["classes_without_images"], nlohmann::json{"'cat'"});
  succeeds(train(data, "of-partly-too"));
  EXPECT_THAT(read(path("of-partly-too/result.yaml")),
              HasSubstr("classes_without_images: [\"'cat'\"]"));
  for (int i = 0; i < 20; ++i) {
    const std::string at = path("partly/train/cat/" + std::to_string(i));
    fs::rename(at + ".png", at + ".webp");
    std::ofstream(at + ".webp", std::ios::binary) << "RIFF    WEBPVP8 ";
  }
  EXPECT_THAT(succeeds(train(data, "of-few")).err,
              AllOf(HasSubstr("train/cat/0.webp: is neither a JPEG nor a PNG image; convert it"),
                    HasSubstr("files that could not be decoded: 20;")));
}

TEST_F(KnownData, ATrainingIsKeptWhoseTestImagesCannotBeDecoded) {
  const std::string data = write_images("kept");
  succeeds(train(data, "whole"));
  fs::rename(path("kept/test"), path("kept-test"));
  fs::copy(path("kept-test"), path("kept/test"), fs::copy_options::recursive);
  for (const auto& entry : fs::recursive_directory_iterator(path("kept/test"))) {
    if (entry.is_regular_file()) fs::resize_file(entry.path(), 50);
  }
  auto words = train(data, "lost");
  for (int i = 0; i < 2; ++i) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, HasSubstr("has no image to evaluate on"));
    EXPECT_EQ(read(weights_of("lost")), read(weights_of("whole")));
    EXPECT_FALSE(fs::exists(path("lost/result.yaml")));
    if (i == 0) words.push_back("--resume");
  }
  // Nothing is trained twice.
  EXPECT_EQ(read(path("lost/log.jsonl")), read(path("whole/log.jsonl")));
  fs::remove_all(path("kept/test"));
  fs::rename(path("kept-test"), path("kept/test"));
  EXPECT_EQ(json_of(evaluate(data, weights_of("lost")))["top1"],
            json_of(evaluate(data, weights_of("whole")))["top1"]);
}

// Of finite weights: what they give is not.
TEST_F(KnownData, WeightsWhoseProductsAreNotFiniteAreRefused) {
  const std::string data = write_images("huge");
  succeeds(train(data, "of-huge"));
  TensorFile file = read_safetensors(weights_of("of-huge"));
  for (auto& [name, tensor] : file.tensors) {
    if (name == "conv_stem.weight") tensor = torch::full_like(tensor, 1e37);
    if (name == "bn1.running_var") tensor = torch::zeros_like(tensor);
  }
  const std::string weights = path("huge.safetensors");
  write_safetensors(weights, file);
  expect_refused(evaluate(data, weights), {weights + ": gives logits", "not finite"});
  expect_refused(with({"distill"}, {"--data", data, "--weights", weights, "--out", path("never")}),
                 {weights + ": gives logits", "not finite"});
  expect_refused(
      with({"export"}, {"--weights", weights, "--format", "onnx", "--out", path("never")}),
      {weights + ", norms folded in: tensor 'conv_stem.weight' holds NaN or infinity"});
  EXPECT_FALSE(fs::exists(path("never")));
}

TEST_F(KnownData, AnotherCropIsTold) {
  const std::string data = write_images("cropped");
  succeeds(train(data, "of-crops", {"--crop-fraction", "0.4"}));
  const std::string weights = weights_of("of-crops");
  const auto says = [&](std::vector<std::string> words, const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    return succeeds(words).err.find("was trained with a crop fraction of 0.4; here it is") !=
           std::string::npos;
  };
  EXPECT_FALSE(says(evaluate(data, weights), {}));
  EXPECT_TRUE(says(evaluate(data, weights), {"--crop-fraction", "1"}));
  const auto distill =
      with({"distill"}, {"--data", data, "--weights", weights, "--out", path("crop-labels")});
  EXPECT_TRUE(says(distill, {}));
  EXPECT_FALSE(says(distill, {"--crop-fraction", "0.4"}));
  EXPECT_TRUE(says(train(data, "other-crops", {"--weights", weights}), {}));
  EXPECT_FALSE(says(train(data, "same-crops", {"--weights", weights}), {"--crop-fraction", "0.4"}));
}

// Ten test images stay as they are, each with its label.
TEST_F(KnownData, ClassesInAnotherOrderAreRefused) {
  const std::string data = write_images("renamed");
  succeeds(train(data, "of-renamed"));
  const std::string weights = weights_of("of-renamed");
  for (const char* part : {"train", "test"}) {
    fs::rename(path("renamed") + "/" + part + "/ant", path("renamed") + "/" + part + "/zebra");
  }
  const std::string says = "class 0 is 'ant' there and 'cat' here";
  expect_refused(evaluate(data, weights), {"was trained on other classes", says});
  expect_refused(train(data, "never", {"--weights", weights}), {says});
  expect_refused(with({"distill"}, {"--data", data, "--weights", weights, "--out", path("never")}),
                 {says});
  succeeds(train(data, "new-head", {"--weights", weights, "--reset-head"}));
  // Exported weights still know.
  for (const char* format : {"onnx", "safetensors"}) {
    const std::string file = path(std::string("exported.") + format);
    succeeds(with({"export"}, {"--weights", weights, "--format", format, "--out", file}));
    expect_refused(evaluate(data, file), {says});
  }
}

TEST_F(KnownData, EvaluateRepeatsTheAccuracyOfARun) {
  const std::string data = "idx:" + images_;
  std::ofstream(path("held-out.yaml")) << "{epochs: 1, batch_size: 50}\n";
  const auto on_them = [&](std::vector<std::string> words, std::vector<std::string> more) {
    const std::vector<std::string> network = small_network(28);
    words.insert(words.end(), network.begin(), network.end());
    words.insert(words.end(), {"--data", data});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  succeeds(on_them({"train"}, {"--search-validation", "200", "--seed", "4", "--config",
                               path("held-out.yaml"), "--out", path("held-out")}));
  const std::string result = read(path("held-out/result.yaml"));
  const std::string test = result.substr(result.find("split: test"));
  const nlohmann::json evaluated =
      json_of(on_them({"evaluate"}, {"--json", "--weights", weights_of("held-out")}));
  for (const char* figure : {"top1", "loss"}) {
    EXPECT_THAT(test, HasSubstr(std::string(figure) + ": " + evaluated[figure].dump())) << test;
  }
  // What starts from these weights holds out images of their split, whatever its seed.
  const auto start_from = [&](const std::string& held_out, const std::string& out) {
    return on_them({"train"},
                   {"--search-validation", held_out, "--seed", "5", "--weights",
                    weights_of("held-out"), "--config", path("held-out.yaml"), "--out", path(out)});
  };
  succeeds(start_from("150", "goes-on"));
  expect_refused(start_from("201", "never"),
                 {"has learned images that are held out here", "held out 200 images"});
}

TEST_F(KnownData, ARunIsNotResumedWithOtherData) {
  const std::string data = write_images("changing");
  const std::vector<std::string> words = train(data, "stopped");
  succeeds(words);
  auto again = words;
  again.push_back("--resume");
  succeeds(again);
  fs::rename(path("changing/train/cat/3.png"), path("three.png"));
  expect_refused(again, {"imagefolder:", "changing", "have changed since"});
  fs::rename(path("three.png"), path("changing/train/cat/3.png"));
  succeeds(again);
  // A finished run says the truth about its weights.
  fs::resize_file(weights_of("stopped"), 0);
  expect_refused(again, {"weights.safetensors: is too short", "train again with another --out"});
  fs::remove(weights_of("stopped"));
  expect_refused(again, {"weights.safetensors: is gone"});
}

TEST_F(KnownData, ARefusedResumeNamesWhatDiffers) {
  const std::string data = write_images("named");
  succeeds(train(data, "first-start"));
  succeeds(train(data, "second-start", {"--seed", "8"}));
  fs::copy_file(weights_of("first-start"), path("start"));
  const std::vector<std::string> had{"--seed", "3", "--weights", path("start")};
  succeeds(train(data, "named-run", had));
  const auto resume = [&](const std::vector<std::string>& more) {
    auto words = train(data, "named-run", {"--resume"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  succeeds(resume(had));
  const auto differs = [](const std::string& run, const std::string& now) {
    return "the run has '" + run + "' where this has '" + now + "'";
  };
  expect_refused(resume({"--seed", "4", "--weights", path("start")}),
                 {differs("seed: 3", "seed: 4")});
  expect_refused(resume({"--seed", "3"}), {"the run has 'weights: contents ", "'weights: none'"});
  auto released = had;
  released.insert(released.end(), {"--initialization", "released"});
  expect_refused(resume(released),
                 {differs("initialization: residual", "initialization: released")});
  // Weights are known by their contents.
  fs::copy_file(weights_of("second-start"), path("start"), fs::copy_options::overwrite_existing);
  expect_refused(resume(had), {"the run has 'weights: contents ", "where this has 'weights: con"});
  fs::copy_file(weights_of("first-start"), path("start"), fs::copy_options::overwrite_existing);
  succeeds(resume(had));
  expect_refused(resume({"--search-validation", "2", "--seed", "3"}),
                 {differs("search-validation: 0", "search-validation: 2")});
}

// By other weights in between, other spellings of the folder, other folders.
TEST_F(KnownData, NoImageThatWasEverLearnedIsHeldOut) {
  const std::string data = write_images("known"), others = write_images("others");
  for (const auto& entry : fs::recursive_directory_iterator(path("others/train"))) {
    if (!entry.is_regular_file()) continue;
    const int number = std::stoi(entry.path().stem());
    const Image image =
        image_of(32, 32, 3, [&](int y, int x, int c) { return (number + 3 * x + 5 * y + c) % 90; });
    std::ofstream(entry.path(), std::ios::binary | std::ios::trunc) << png_of(image);
  }
  succeeds(train(data, "learned-all"));
  succeeds(train(others, "then-others", {"--weights", weights_of("learned-all")}));
  const auto hold_out = [&](const std::string& spelling, const std::string& start) {
    return train(spelling, "never", {"--weights", weights_of(start), "--search-validation", "10"});
  };
  expect_refused(hold_out(data, "then-others"), {"has learned images that are held out here"});
  succeeds(with({"distill"}, {"--data", others, "--weights", weights_of("learned-all"), "--out",
                              path("their-labels")}));
  succeeds(train(others, "by-labels", {"--distilled", path("their-labels")}));
  expect_refused(hold_out(data, "by-labels"), {"has learned images that are held out here"});
  fs::remove(path("known/train/cat/3.png"));
  fs::create_directory_symlink(path("known"), path("linked"));
  for (const std::string& spelling : {data, data + "/", "imagefolder:" + path("linked")}) {
    expect_refused(hold_out(spelling, "learned-all"), {"its training on " + data, "of the 10"});
  }
}

TEST_F(KnownData, LabelsKnowOtherPicturesUnderTheSameNames) {
  const std::string data = write_images("swapped");
  succeeds(train(data, "teacher"));
  const auto distill = [&](const std::string& temperature) {
    return with({"distill"}, {"--data", data, "--weights", weights_of("teacher"), "--temperature",
                              temperature, "--out", path("labels")});
  };
  succeeds(distill("4"));
  succeeds(train(data, "student", {"--distilled", path("labels")}));
  swap_folders(path("swapped/train/ant"), path("swapped/train/cat"));
  expect_refused(train(data, "never", {"--distilled", path("labels")}),
                 {"labels: was distilled from other training images"});
}

TEST_F(KnownData, OneDistillationAFileAtATime) {
  const std::string data = write_images("twice");
  succeeds(train(data, "twice-teacher"));
  const auto words = with({"distill"}, {"--data", data, "--weights", weights_of("twice-teacher"),
                                        "--replicas", "40", "--out", path("twice-labels")});
  const pid_t one = start(words, "one");
  const pid_t other = start(words, "other");
  const Outcome first = wait_for(one, "one"), second = wait_for(other, "other");
  // Both end well only if one began after the other had ended.
  EXPECT_EQ(std::min(first.exit_code, second.exit_code), 0) << first.err << second.err;
  for (const Outcome& outcome : {first, second}) {
    if (outcome.exit_code == 0) continue;
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, HasSubstr("is being written by another ridgewalk"));
  }
  EXPECT_FALSE(fs::exists(path("twice-labels.lock")));
  EXPECT_FALSE(fs::exists(path("twice-labels.replicas")));
  succeeds(train(data, "of-both", {"--distilled", path("twice-labels")}));
}

// The second stage with another seed holds out the images that the first one did.
TEST_F(KnownData, AWarmStartKeepsTheSplitOfItsWeights) {
  const auto stage = [&](const std::string& name, const std::string& out, const std::string& seed) {
    return std::vector<std::string>{"search",    name,      "--config", folder_ + "/config.yaml",
                                    "--out",     path(out), "--seed",   seed,
                                    "--threads", "1"};
  };
  const auto split_of = [&](const std::string& file) {
    const std::string bytes = read(path(file));
    const size_t at = bytes.find("split_seed");
    EXPECT_NE(at, std::string::npos);
    return bytes.substr(at, bytes.find("training_hash", at) - at);
  };
  succeeds(stage("coarse", "coarse", "1"));
  auto fine = stage("fine", "fine", "2");
  fine.insert(fine.end(), {"--from", path("coarse")});
  succeeds(fine);
  EXPECT_EQ(split_of("fine/fine-supernet.safetensors"),
            split_of("coarse/coarse-supernet.safetensors"));
  succeeds(stage("coarse", "coarse2", "2"));
  EXPECT_NE(split_of("coarse2/coarse-supernet.safetensors"),
            split_of("coarse/coarse-supernet.safetensors"));
}

}  // namespace
}  // namespace ridgewalk
