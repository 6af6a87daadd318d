// The program on folders of images.
#include "tests/experiments/commands/program.h"
#include "tests/helpers.h"
#include "tests/image_files.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;
using testing::Not;

class FolderProgram : public Program {
 protected:
  // Three classes told apart by their hue, JPEG and PNG images of several sizes.
  static std::string write_folder() {
    const fs::path folder = folder_ + "/images";
    for (const char* part : {"train", "val"}) {
      for (int label = 0; label < 3; ++label) {
        const fs::path to = folder / part / ("class" + std::to_string(label));
        fs::create_directories(to);
        for (int i = 0; i < 20; ++i) {
          const Image image = image_of(30 + i, 50 - i, 3, [&](int y, int x, int c) {
            return (c == label ? 170 : 40) + (7 * x + 13 * y + i) % 60;
          });
          std::ofstream(to / (std::to_string(i) + (i % 2 ? ".jpg" : ".png")), std::ios::binary)
              << (i % 2 ? jpeg_of(image) : png_of(image));
        }
      }
    }
    return folder.string();
  }

  static std::vector<std::string> train(const std::string& folder, const std::string& out,
                                        std::vector<std::string> more = {}) {
    std::vector<std::string> words{"train",        "custom",
                                   "--base",       "8",
                                   "--expanded",   "16",
                                   "--n3",         "1",
                                   "--hidden",     "16",
                                   "--classes",    "3",
                                   "--channels",   "3",
                                   "--threads",    "1",
                                   "--data",       "imagefolder:" + folder,
                                   "--resolution", "32",
                                   "--precision",  "fp32",
                                   "--config",     folder_ + "/augment.yaml",
                                   "--out",        folder_ + "/" + out};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
};

TEST_F(FolderProgram, TrainsAndEvaluatesOnThem) {
  std::ofstream(folder_ + "/augment.yaml") << R"(epochs: 10
batch_size: 20
optimizer: adamw
learning_rate: 0.01
random_resized_crop: {scale: [0.3, 1]}
rand_augment: {probability: 0.5, magnitude: 5, exclude: [cutout, invert, color, solarize]}
flip: true
mixup: 0.2
cutmix: 1
mix_probability: 0.2
)";
  const std::string folder = write_folder();
  const std::string damaged = folder + "/train/class1/3.jpg";
  fs::resize_file(damaged, 400);

  const Outcome trained = run(train(folder, "folder"));
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr(damaged + ": is a damaged JPEG image"));
  EXPECT_THAT(trained.err, HasSubstr("files that could not be decoded: 1"));
  EXPECT_THAT(trained.err, HasSubstr("training images/s; the loader alone"));
  EXPECT_THAT(read(folder_ + "/folder/result.yaml"), Not(HasSubstr("images_per_second")));

  for (const char* threads : {"0", "3"}) {
    const std::string out = std::string("folder") + threads;
    ASSERT_EQ(run(train(folder, out, {"--loader-threads", threads})).exit_code, 0);
    EXPECT_EQ(read(folder_ + "/" + out + "/log.jsonl"), read(folder_ + "/folder/log.jsonl"));
  }

  const auto evaluate = [&](std::vector<std::string> more) {
    std::vector<std::string> words{"evaluate",  folder_ + "/folder/architecture.yaml",
                                   "--weights", folder_ + "/folder/weights.safetensors",
                                   "--data",    "imagefolder:" + folder,
                                   "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  const Outcome evaluated = evaluate({"--strict"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_GT(nlohmann::json::parse(evaluated.out)["top1"].get<double>(), 0.6);

  expect_refused(train(folder, "strict", {"--strict"}), {damaged, "--strict"});
  expect_refused(train(folder, "never", {"--crop-fraction", "2"}), {"--crop-fraction"});
  expect_refused(train(folder, "never", {"--loader-threads", "-1"}), {"--loader-threads"});
  std::ofstream(folder_ + "/augment.yaml") << "epochs: 1\nrand_augment: {magnitude: 40}\n";
  expect_refused(train(folder, "never"), {"augment.yaml:2", "'magnitude' is 40"});
  fs::remove_all(folder + "/val/class2");
  expect_refused(train(folder, "never"), {"augment.yaml:2"});
  std::ofstream(folder_ + "/augment.yaml") << "epochs: 1\n";
  expect_refused(train(folder, "never"), {"'class2' is in one of them alone"});
  EXPECT_FALSE(fs::exists(folder_ + "/never"));
}

TEST_F(FolderProgram, ClassifiesPicturesByTheNamesOfItsClasses) {
  std::ofstream(folder_ + "/augment.yaml")
      << "epochs: 15\nbatch_size: 20\noptimizer: adamw\nlearning_rate: 0.01\n";
  const std::string folder = write_folder();
  const Outcome trained = run(train(folder, "classified"));
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const auto classify = [&](std::vector<std::string> pictures) {
    std::vector<std::string> words{"classify", folder_ + "/classified/architecture.yaml",
                                   "--weights", folder_ + "/classified/weights.safetensors",
                                   "--json"};
    words.insert(words.end(), pictures.begin(), pictures.end());
    return words;
  };
  const Outcome outcome =
      run(classify({folder + "/val/class2/3.jpg", folder + "/val/class0/4.png"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(json.size(), 2u);
  for (const auto& [i, name] : {std::pair(0, "class2"), {1, "class0"}}) {
    const auto& classes = json.at(size_t(i)).at("classes");
    EXPECT_EQ(classes.at(0).at("class"), name);
    double sum = 0;
    for (const auto& of_class : classes) sum += of_class.at("probability").get<double>();
    EXPECT_NEAR(sum, 1, 1e-5);
  }
  const std::string maps = folder_ + "/maps.onnx",
                    network = folder_ + "/classified/architecture.yaml";
  ASSERT_EQ(run({"export", network, "--weights", folder_ + "/classified/weights.safetensors",
                 "--features", "--format", "onnx", "--out", maps})
                .exit_code,
            0);
  expect_refused({"classify", network, "--weights", maps, folder + "/val/class2/3.jpg"},
                 {maps, "gives feature maps (features_", "export --features"});
  expect_refused({"evaluate", network, "--weights", maps, "--data", "imagefolder:" + folder},
                 {maps, "gives feature maps (features_"});
  expect_refused(classify({folder_ + "/augment.yaml"}), {"augment.yaml", "neither"});
  expect_refused(classify({folder + "/none.png"}), {"none.png"});
  expect_refused(classify({}), {"at least one picture"});
  expect_refused(classify({folder + "/val/class2/3.jpg", "--channels", "1"}),
                 {"weights.safetensors", "conv_stem.weight"});
}

// The search of ImageNet at a size for a test: its own space, augmentation, optimizer and targets.
TEST_F(FolderProgram, SearchesAsOnImageNet) {
  std::string text = read("experiments/configs/search/imagenet.yaml");
  for (const auto& [what, small] : std::vector<std::pair<std::string, std::string>>{
           {"imagefolder:/data/imagenet", "imagefolder:" + write_folder()},
           {"resolution: 224", "resolution: 32"},
           {"search_validation: 50046", "search_validation: 16"},
           {"validation_batch_size: 512", "validation_batch_size: 8"},
           {"batch_size: 128", "batch_size: 4"},
           {"coarse: {steps: 27050, samples_per_step: 32",
            "coarse: {steps: 4, candidates: 2, samples_per_step: 2"}}) {
    text = replaced(text, what, small);
  }
  std::ofstream(folder_ + "/imagenet.yaml") << text;
  const std::string out = folder_ + "/imagenet";
  const Outcome outcome = run({"search", "coarse", "--config", folder_ + "/imagenet.yaml",
                               "--threads", "1", "--precision", "fp32", "--out", out});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("coarse: "));
  // The classes are the folder's, the resolution the configuration's.
  const std::string found = read(out + "/found.yaml");
  EXPECT_THAT(found, HasSubstr("classes: 3"));
  EXPECT_THAT(found, HasSubstr("resolution: 32"));
  expect_refused({"search", "coarse", "--config", folder_ + "/imagenet.yaml", "--classes", "4",
                  "--out", folder_ + "/never"},
                 {"takes 3 channels to 4 classes", "has 3 and 3"});
}

}  // namespace
}  // namespace ridgewalk
