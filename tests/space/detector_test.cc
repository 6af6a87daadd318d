// Detectors as graphs: shapes, names, outputs.
#include "space/detector.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "space/catalog.h"
#include "space/error.h"
#include "space/features.h"
#include "space/fold.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Detector, GivesScoresAndBoxesOfFiveLevels) {
  const Graph graph = lower(find_architecture("mnv4-hybrid-medium-retinanet"));
  ASSERT_EQ(graph.outputs.size(), 10u);
  int level = 3;
  for (size_t i = 0; i < graph.outputs.size(); i += 2, ++level) {
    const int side = std::max(3, 384 >> level);
    EXPECT_EQ(graph.outputs[i].name, "scores_" + std::to_string(level));
    EXPECT_EQ(graph.ops[size_t(graph.outputs[i].op)].output, (Shape{91 * 9, side, side}));
    EXPECT_EQ(graph.outputs[i + 1].name, "boxes_" + std::to_string(level));
    EXPECT_EQ(graph.ops[size_t(graph.outputs[i + 1].op)].output, (Shape{4 * 9, side, side}));
  }
  std::set<std::string> names;
  for (const Op& op : graph.ops) EXPECT_TRUE(names.insert(op.name).second) << op.name;
}

// The backbone's own maps, without the head's convolution that timm's last one has.
TEST(Detector, ReadsTheLastMapAtEachStride) {
  const Graph graph = lower(find_architecture("mnv4-conv-medium-retinanet"));
  std::vector<int> channels;
  for (const FeatureMap& map : feature_maps(graph)) channels.push_back(map.shape.channels);
  EXPECT_THAT(channels, ElementsAre(48, 80, 160, 256));
}

// A convolution that several levels share has another norm in each: folded, it is each level's own.
TEST(Detector, FoldsTheNormsOfEachLevelApart) {
  const Graph graph = lower(find_architecture("mnv4-conv-medium-retinanet"));
  const Graph folded = fold_norms(graph).graph;
  ASSERT_EQ(folded.outputs.size(), 10u);
  for (const Op& op : folded.ops) {
    const bool is_filter = op.name.ends_with(".dw"), predicts = op.name.ends_with(".predict.pw");
    if (!op.name.starts_with("head.")) continue;
    EXPECT_EQ(!op.shared_name.empty(), is_filter || predicts) << op.name;
  }
  for (const Output& output : folded.outputs) {
    EXPECT_TRUE(folded.ops[size_t(output.op)].name.ends_with(".predict.pw"));
  }
}

TEST(Detector, AreYaml) {
  Architecture architecture = find_architecture("compact-nano");
  architecture.resolution = 64;
  architecture.detector = Detector{.pyramid = 32, .head_depth = 2, .anchors = 3};
  const std::string text = to_yaml(architecture);
  EXPECT_THAT(text, HasSubstr("detector: {pyramid: 32, head_depth: 2, anchors: 3}"));
  EXPECT_EQ(architecture_from_yaml(text, "copy"), architecture);
  EXPECT_EQ(to_yaml(find_architecture("compact-nano")).find("detector"), std::string::npos);
}

std::string detector_refusal(const Architecture& architecture) {
  try {
    lower(architecture);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Detector, RefusesWhatCannotBeBuilt) {
  const Architecture good = find_architecture("mnv4-conv-medium-retinanet");
  Architecture bad = good;
  bad.resolution = 100;
  EXPECT_THAT(detector_refusal(bad),
              HasSubstr("resolution is 100; that of a detector must be a multiple"));
  bad = good;
  bad.detector->anchors = 0;
  EXPECT_THAT(detector_refusal(bad), HasSubstr("detector.anchors is 0"));
  bad = good;
  bad.classes = 1000000;
  EXPECT_THAT(detector_refusal(bad), HasSubstr("classes times detector.anchors"));
  bad = good;
  bad.stages.pop_back();
  EXPECT_THAT(detector_refusal(bad), HasSubstr("no maps at strides 8, 16 and 32"));
  EXPECT_THROW(require_classifier(good), Error);
}

}  // namespace
}  // namespace ridgewalk
