#include "supernet/data/augmentation.h"

#include <gtest/gtest.h>

#include "tests/helpers.h"

namespace ridgewalk {
namespace {

TEST(AugmentationYaml, SurvivesARoundTrip) {
  EXPECT_EQ(to_yaml(Augmentation{}), "{}");
  const Augmentation all{
      .random_resized_crop = RandomResizedCrop{.least_area = 0.1},
      .rand_augment = RandAugment{.probability = 0.7,
                                  .magnitude = 15,
                                  .exclude = {ImageOp::kEqualize, ImageOp::kCutout}},
      .shift = 2,
      .flip = true,
      .mixup = 0.8,
      .cutmix = 1,
      .mix_probability = 0.3,
      .cutmix_share = 0.25};
  for (const Augmentation& augmentation : {Augmentation{}, Augmentation{.flip = true}, all}) {
    const std::string text = to_yaml(augmentation);
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    EXPECT_TRUE(augmentation_from_yaml(text, "text") == augmentation) << text;
  }
  EXPECT_TRUE(
      augmentation_from_yaml("{random_resized_crop: {}, rand_augment: {}}", "text") ==
      (Augmentation{.random_resized_crop = RandomResizedCrop{}, .rand_augment = RandAugment{}}));
}

TEST(AugmentationYaml, RefusesWhatIsOutOfRange) {
  for (const auto& [text, says] : {
           std::pair("{random_resized_crop: {scale: [0.5, 0.1]}}", "'scale' must be [low, high]"),
           std::pair("{random_resized_crop: {scale: 0.5}}", "'scale' must be [low, high]"),
           std::pair("{random_resized_crop: {ratio: [0, 1]}}", "'ratio' must be [low, high]"),
           std::pair("{random_resized_crop: {area: 1}}", "unknown key 'area'"),
           std::pair("{rand_augment: {magnitude: 31}}", "'magnitude' is 31"),
           std::pair("{rand_augment: {layers: 0}}", "'layers' is 0"),
           std::pair("{rand_augment: {exclude: [blur]}}", "no operation is named 'blur'"),
           std::pair("{mixup: -1}", "'mixup' is -1"),
           std::pair("{cutmix: 0.001}", "at least 0.01"),
           std::pair("{mix_probability: 2}", "'mix_probability' is 2"),
           std::pair("{flop: true}", "unknown key 'flop'"),
       }) {
    try {
      augmentation_from_yaml("\n" + std::string(text), "file.yaml");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      const std::string what = error.what();
      EXPECT_NE(what.find("file.yaml:2: "), std::string::npos) << what;
      EXPECT_NE(what.find(says), std::string::npos) << what;
    }
  }
}

}  // namespace
}  // namespace ridgewalk
