#include "space/timm_name.h"

#include <gtest/gtest.h>

#include "space/catalog.h"
#include "space/error.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

// default_cfgs of timm 1.0.15: input size and classes of each pretrained model of these variants.
struct Pretrained {
  const char* name;
  const char* base;
  double multiplier;
  int resolution, classes;
};
constexpr Pretrained kPretrained[] = {
    {"mobilenetv4_conv_small.e2400_r224_in1k", "mnv4-conv-small", 1, 224, 1000},
    {"mobilenetv4_conv_small_050.e3000_r224_in1k", "mnv4-conv-small", 0.5, 224, 1000},
    {"mobilenetv4_conv_medium.e500_r224_in1k", "mnv4-conv-medium", 1, 224, 1000},
    {"mobilenetv4_conv_medium.e250_r384_in12k_ft_in1k", "mnv4-conv-medium", 1, 384, 1000},
    {"mobilenetv4_conv_medium.e180_ad_r384_in12k", "mnv4-conv-medium", 1, 384, 11821},
    {"mobilenetv4_conv_large.e600_r384_in1k", "mnv4-conv-large", 1, 384, 1000},
    {"mobilenetv4_conv_large.e500_r256_in1k", "mnv4-conv-large", 1, 256, 1000},
    {"mobilenetv4_hybrid_medium.ix_e550_r256_in1k", "mnv4-hybrid-medium", 1, 256, 1000},
    {"mobilenetv4_hybrid_medium.e500_r224_in1k", "mnv4-hybrid-medium", 1, 224, 1000},
    {"mobilenetv4_hybrid_large.ix_e600_r384_in1k", "mnv4-hybrid-large", 1, 384, 1000},
    {"mobilenetv1_100.ra4_e3600_r224_in1k", "mobilenet-v1", 1, 224, 1000},
    {"mobilenetv3_large_100.ra_in1k", "mobilenet-v3-large", 1, 224, 1000},
    {"mobilenetv3_large_100.miil_in21k", "mobilenet-v3-large", 1, 224, 11221}};

TEST(TimmNames, AreTheCataloguesNetworksAtTheResolutionOfTheTag) {
  for (const Pretrained& p : kPretrained) {
    const Architecture found = find_architecture(p.name);
    Architecture expected = p.multiplier == 1 ? find_architecture(p.base)
                                              : find_architecture(std::string(p.base) + "-050");
    EXPECT_EQ(found.name, p.name);
    EXPECT_EQ(found.resolution, p.resolution) << p.name;
    EXPECT_EQ(found.classes, p.classes) << p.name;
    expected.name = found.name;
    expected.resolution = found.resolution;
    expected.classes = found.classes;
    EXPECT_EQ(found, expected) << p.name;
  }
}

// Parameters as timm's results table gives them, in millions.
TEST(TimmNames, CountAsTimmDoes) {
  const std::pair<const char*, double> kCounts[] = {
      {"mobilenetv4_conv_small.e1200_r224_in1k", 3.77},
      {"mobilenetv4_conv_medium.e500_r256_in1k", 9.72},
      {"mobilenetv4_conv_large.e500_r256_in1k", 32.59},
      {"mobilenetv4_hybrid_medium.e200_r256_in12k_ft_in1k", 11.07},
      {"mobilenetv4_hybrid_large.e600_r384_in1k", 37.76},
      {"mobilenetv4_conv_small_050.e3000_r224_in1k", 2.24},
      {"mobilenetv2_100.ra_in1k", 3.50},
      {"mobilenetv2_140.ra_in1k", 6.11},
      {"mobilenetv2_050.lamb_in1k", 1.97},
      {"mobilenetv3_large_100", 5.48}};
  for (const auto& [name, millions] : kCounts) {
    EXPECT_NEAR(double(parameter_count(lower(find_architecture(name)))) / 1e6, millions, 0.006)
        << name;
  }
}

TEST(TimmNames, AreTakenWithTheHubsPrefixAndWithoutATag) {
  for (const char* name :
       {"mobilenetv4_conv_small", "timm/mobilenetv4_conv_small",
        "hf-hub:timm/mobilenetv4_conv_small", "hf_hub:timm/mobilenetv4_conv_small"}) {
    EXPECT_EQ(find_architecture(name).name, "mobilenetv4_conv_small");
    EXPECT_EQ(find_architecture(name).resolution, 224);
  }
}

TEST(TimmNames, ThatAreMisspeltGetTheNearest) {
  for (const char* name : {"mobilenetv4_conv_smal.e2400_r224_in1k", "mobilenetv4_con_small"}) {
    try {
      find_architecture(name);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("did you mean mobilenetv4_conv_small"),
                std::string::npos)
          << error.what();
    }
  }
}

TEST(TimmNames, OfVariantsThatTheCatalogueLacksAreRefused) {
  for (const char* name :
       {"mobilenetv4_conv_aa_large.e230_r384_in12k_ft_in1k", "mobilenetv4_conv_blur_medium",
        "mobilenetv2_120d.ra_in1k", "mobilenetv3_large_150d", "mobilenetv3_small_100.lamb_in1k",
        "mobilenetv1_100h", "tf_mobilenetv3_large_100", "mobilenetv4_conv_small.yaml",
        "resnet50.a1_in1k", "mobilenetv4_conv_small_5"}) {
    EXPECT_FALSE(parse_timm_name(name).has_value()) << name;
    EXPECT_THROW(find_architecture(name), Error) << name;
  }
}

}  // namespace
}  // namespace ridgewalk
