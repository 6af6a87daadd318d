#include "space/features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "space/catalog.h"
#include "space/error.h"
#include "space/fold.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

std::vector<std::pair<int, int>> strides_and_channels(const Graph& graph) {
  std::vector<std::pair<int, int>> result;
  for (const FeatureMap& map : feature_maps(graph)) {
    EXPECT_EQ(map.name, "features_" + std::to_string(map.stride));
    EXPECT_EQ(map.shape, graph.ops[size_t(map.op)].output);
    result.emplace_back(map.stride, map.shape.channels);
  }
  return result;
}

// feature_info of timm 1.0.31's create_model(NAME, features_only=True), stride 2 left out.
TEST(Features, AreThoseOfTimm) {
  const std::pair<const char*, std::vector<int>> published[] = {
      {"mnv4-conv-small", {32, 64, 96, 960}},     {"mnv4-conv-medium", {48, 80, 160, 960}},
      {"mnv4-conv-large", {48, 96, 192, 960}},    {"mnv4-hybrid-medium", {48, 80, 160, 960}},
      {"mnv4-hybrid-large", {48, 96, 192, 960}},  {"mnv4-conv-small-050", {16, 32, 48, 480}},
      {"mobilenet-v3-large", {24, 40, 112, 960}}, {"mobilenet-v2", {24, 32, 96, 320}},
      {"mobilenet-v1", {128, 256, 512, 1024}}};
  for (const auto& [name, channels] : published) {
    const Graph graph = lower(find_architecture(name));
    std::vector<std::pair<int, int>> expected;
    for (size_t i = 0; i < channels.size(); ++i) expected.emplace_back(4 << i, channels[i]);
    EXPECT_EQ(strides_and_channels(graph), expected) << name;
    EXPECT_EQ(strides_and_channels(fold_norms(graph).graph), expected) << name;
  }
}

// 28 pixels: 14, 7, 4, 2.
TEST(Features, HaveTheStrideOfTheirConvolutionsWhereSizesAreRoundedUp) {
  Architecture architecture = find_architecture("mnv4-conv-small");
  architecture.resolution = 28;
  std::vector<int> sizes;
  for (const FeatureMap& map : feature_maps(lower(architecture))) sizes.push_back(map.shape.height);
  EXPECT_EQ(sizes, (std::vector<int>{7, 4, 2, 1}));
}

TEST(Features, NeedAStrideOfFour) {
  Architecture architecture = find_architecture("mnv4-conv-small");
  architecture.stages = {{Conv{.kernel = 3, .stride = 1, .width = 8}}};
  EXPECT_THROW(feature_maps(lower(architecture)), Error);
}

}  // namespace
}  // namespace ridgewalk
