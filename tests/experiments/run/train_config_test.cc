// The training settings that come with the program.
#include "experiments/run/train_config.h"

#include <filesystem>
#include <fstream>

#include "space/yaml.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

double number(const CsvRow& row, const std::string& column) { return std::stod(at(row, column)); }

// tests/data/paper_table10.csv: MobileNetV4 (arXiv 2404.10518v2), table 10; 0 where it has a dash.
TEST(TrainConfig, HoldsTheFiguresOfThePaper) {
  const auto table = read_csv("tests/data/paper_table10.csv");
  ASSERT_EQ(table.size(), 5u);
  for (const CsvRow& row : table) {
    const std::string name = at(row, "network");
    SCOPED_TRACE(name);
    const TrainOptions options = load_train_options("experiments/configs/train/" + name + ".yaml");
    EXPECT_EQ(options.epochs, number(row, "epochs"));
    EXPECT_EQ(options.batch_size, number(row, "batch_size"));
    EXPECT_EQ(options.optimizer.kind, OptimizerKind::kAdamW);
    EXPECT_EQ(options.optimizer.learning_rate, number(row, "learning_rate"));
    EXPECT_EQ(options.optimizer.cosine_alpha, number(row, "cosine_alpha"));
    EXPECT_DOUBLE_EQ(options.optimizer.warmup * options.epochs, number(row, "warmup_epochs"));
    EXPECT_EQ(options.optimizer.weight_decay, number(row, "weight_decay"));
    EXPECT_EQ(options.optimizer.momentum, number(row, "beta1"));
    EXPECT_EQ(options.optimizer.decay, number(row, "beta2"));
    EXPECT_EQ(options.optimizer.epsilon, number(row, "epsilon"));
    EXPECT_EQ(options.optimizer.l2, number(row, "l2"));
    EXPECT_EQ(options.optimizer.clip_norm, number(row, "clip_norm"));
    EXPECT_EQ(options.ema, number(row, "ema"));
    EXPECT_EQ(options.label_smoothing, number(row, "label_smoothing"));
    EXPECT_EQ(options.dropout, number(row, "dropout"));
    EXPECT_EQ(options.drop_path, number(row, "drop_path"));
    const Augmentation& augmentation = options.augmentation;
    EXPECT_TRUE(augmentation.flip);
    EXPECT_EQ(augmentation.random_resized_crop, RandomResizedCrop{});
    ASSERT_TRUE(augmentation.rand_augment);
    EXPECT_EQ(augmentation.rand_augment->probability, number(row, "rand_augment_probability"));
    EXPECT_EQ(augmentation.rand_augment->layers, number(row, "rand_augment_layers"));
    EXPECT_EQ(augmentation.rand_augment->magnitude, number(row, "rand_augment_magnitude"));
    EXPECT_EQ(augmentation.mixes(), number(row, "mixup_cutmix_probability") > 0);
    if (!augmentation.mixes()) continue;
    EXPECT_EQ(augmentation.mix_probability, number(row, "mixup_cutmix_probability"));
    EXPECT_EQ(augmentation.mixup, number(row, "mixup_alpha"));
    EXPECT_EQ(augmentation.cutmix, number(row, "cutmix_alpha"));
    EXPECT_EQ(augmentation.cutmix_share, number(row, "mixup_cutmix_switch"));
  }
}

// A rate that suits AdamW is no default for the others, whatever is trained.
TEST(TrainConfig, EveryOptimizerHasItsOwnDefaults) {
  const auto options = [](const std::string& text) {
    return read_train(parse_yaml(text, "train.yaml")).optimizer;
  };
  const OptimizerOptions adamw{
      .kind = OptimizerKind::kAdamW, .learning_rate = 0.004, .weight_decay = 0.05};
  EXPECT_EQ(options("{epochs: 2}"), adamw);
  EXPECT_EQ(options("{optimizer: adamw}"), adamw);
  EXPECT_EQ(read_weights(parse_yaml("{optimizer: adamw}", "weights.yaml")).optimizer, adamw);
  EXPECT_EQ(options("{optimizer: sgd}"), (OptimizerOptions{.kind = OptimizerKind::kSgd}));
  EXPECT_EQ(
      options("{optimizer: sgd, learning_rate: 0.05, weight_decay: 1.0e-4}"),
      (OptimizerOptions{.kind = OptimizerKind::kSgd, .learning_rate = 0.05, .weight_decay = 1e-4}));
}

TEST(TrainConfig, RefusesWhatContradictsItself) {
  const auto refusal = [](const std::string& text) {
    const auto path = std::filesystem::temp_directory_path() /
                      ("ridgewalk-train-" + std::to_string(getpid()) + ".yaml");
    std::ofstream(path) << text;
    const std::string error = error_of([&] { load_train_options(path); });
    std::filesystem::remove(path);
    return error;
  };
  EXPECT_THAT(refusal("epochs: 10\nwarmup: 0.1\nwarmup_epochs: 1\n"),
              HasSubstr(".yaml:2: 'warmup' and 'warmup_epochs'"));
  EXPECT_THAT(refusal("epochs: 10\nwarmup_epochs: 11\n"), HasSubstr("from 0 to 10"));
  EXPECT_THAT(refusal("ema: 1\n"), HasSubstr("'ema' is 1"));
  EXPECT_THAT(refusal("clip_norm: -1\n"), HasSubstr("'clip_norm' is -1"));
  EXPECT_THAT(refusal("teacher: {network: compact-nano}\n"), HasSubstr("'weights'"));
  EXPECT_THAT(refusal("teacher: {network: compact-nono, weights: w}\n"), HasSubstr(".yaml:1"));
  EXPECT_THAT(refusal("distilled: /no/such.safetensors\n"),
              HasSubstr("/no/such.safetensors: cannot be read"));
}

}  // namespace
}  // namespace ridgewalk
