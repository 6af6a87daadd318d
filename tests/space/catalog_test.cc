// The catalogue against counts that others publish.
#include "space/catalog.h"

#include <map>
#include <set>

#include "space/compact.h"
#include "space/fold.h"
#include "space/lowering.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

Graph network(const std::string& name) { return lower(find_architecture(name)); }

std::map<std::string, std::vector<int64_t>> state_dict(const std::string& name) {
  const Graph graph = network(name);
  std::map<std::string, std::vector<int64_t>> shapes;
  for (int i = 0; i < std::ssize(graph.ops); ++i) {
    for (const Parameter& p : parameters(graph, i)) shapes[p.name] = p.shape;
  }
  return shapes;
}

// timm 1.0.15, torchvision 0.15 (mobilenet_v2, mobilenet_v3_large) and Keras (MobileNet, less its
// 21,888 running statistics).
TEST(Catalogue, HasThePublishedCountsOfTheComparisonNetworks) {
  EXPECT_EQ(parameter_count(network("mobilenet-v1")), 4231976);
  EXPECT_EQ(parameter_count(network("mobilenet-v2")), 3504872);
  EXPECT_EQ(parameter_count(network("mobilenet-v3-large")), 5483032);
}

// Millions to one decimal: arXiv 2404.10518v2, table 6.
TEST(Catalogue, AgreesWithTheMobileNetV4PaperOnTheirMultiples) {
  const std::map<std::string, double> published = {
      {"mobilenet-v2-050", 2.0},       {"mobilenet-v2-150", 6.8}, {"mobilenet-v2-200", 11.2},
      {"mobilenet-v3-large-050", 2.7}, {"mobilenet-v1", 4.2},
  };
  for (const auto& [name, millions] : published) {
    EXPECT_NEAR(double(parameter_count(network(name))) / 1e6, millions, 0.06) << name;
  }
}

// All tensors but the classifier, running statistics included: timm's hybrid_medium_075, and
// hybrid_large_075, in which TF-models' unit test agrees.
TEST(Catalogue, ScalesHybridsAsTimmDoes) {
  const std::map<std::string, int64_t> published = {{"mnv4-hybrid-medium-075", 6090368},
                                                    {"mnv4-hybrid-large-075", 21598064}};
  for (const auto& [name, count] : published) {
    const Graph graph = network(name);
    int64_t elements = 0;
    for (int i = 0; i < std::ssize(graph.ops); ++i) {
      if (graph.ops[i].kind == OpKind::kLinear) continue;
      for (const Parameter& p : parameters(graph, i)) elements += p.elements();
    }
    EXPECT_EQ(elements, count) << name;
  }
}

TEST(Catalogue, ReadsHundredthsAndAtAsTheSameMultiplier) {
  Architecture hundredths = find_architecture("mobilenet-v2-050");
  hundredths.name = "mobilenet-v2@0.5";
  EXPECT_EQ(hundredths, find_architecture("mobilenet-v2@0.5"));
  EXPECT_EQ(hundredths.stem.width, 16);    // not fixed below 1
  EXPECT_EQ(hundredths.head.width, 1280);  // does not shrink
  EXPECT_EQ(find_architecture("mobilenet-v2-150").head.width, 1920);
  EXPECT_EQ(find_architecture("mobilenet-v3-large-050").stem.width, 16);  // fixed below 0.75
  EXPECT_EQ(find_architecture("mobilenet-v3-large-150").stem.width, 24);
  EXPECT_EQ(find_architecture("mobilenet-v3-large-150").head.features, 1280);
}

// Names of timm's state dicts.
TEST(Catalogue, NamesOlderNetworksAsTimmDoes) {
  using Sizes = std::vector<int64_t>;
  const auto v1 = state_dict("mobilenet-v1");
  EXPECT_EQ(v1.at("blocks.4.1.conv_pw.weight"), (Sizes{1024, 1024, 1, 1}));
  EXPECT_EQ(v1.at("blocks.3.5.bn2.running_var"), (Sizes{512}));
  EXPECT_FALSE(v1.contains("conv_head.weight"));
  const auto v2 = state_dict("mobilenet-v2");
  EXPECT_EQ(v2.at("blocks.0.0.conv_dw.weight"), (Sizes{32, 1, 3, 3}));
  EXPECT_EQ(v2.at("blocks.6.0.conv_pwl.weight"), (Sizes{320, 960, 1, 1}));
  EXPECT_EQ(v2.at("blocks.6.0.bn3.weight"), (Sizes{320}));
  EXPECT_EQ(v2.at("conv_head.weight"), (Sizes{1280, 320, 1, 1}));
  EXPECT_EQ(v2.at("bn2.weight"), (Sizes{1280}));
  const auto v3 = state_dict("mobilenet-v3-large");
  EXPECT_EQ(v3.at("blocks.2.0.se.conv_reduce.weight"), (Sizes{24, 72, 1, 1}));
  EXPECT_EQ(v3.at("blocks.5.2.se.conv_expand.bias"), (Sizes{960}));
  EXPECT_EQ(v3.at("blocks.6.0.conv.weight"), (Sizes{960, 160, 1, 1}));
  EXPECT_EQ(v3.at("conv_head.bias"), (Sizes{1280}));
  EXPECT_FALSE(v3.contains("norm_head.weight"));
}

// What the networks of this plan count elsewhere, and what differs there: attention has biased
// projections of full width for query, key and value and none for the output (3 b b + 3 b; with
// down-sampling two biased dense 3x3 convolutions more), and the hidden layer has a bias.
TEST(CompactFamily, DiffersFromThePublishedCountsByItsAttentionAndOneBias) {
  struct Published {
    const char* name;
    int64_t parameters, base, heads, attentions, hidden;
    bool down_sampled;
  };
  for (const Published& p : {Published{"compact-nano", 590344, 24, 4, 1, 512, false},
                             {"compact-small", 1303904, 48, 6, 2, 1024, false},
                             {"compact-medium", 2276384, 96, 8, 3, 1024, false},
                             {"compact-large", 9740680, 224, 14, 3, 1280, false},
                             {"compact-hybrid-large", 35886888, 384, 16, 4, 1280, true}}) {
    const int64_t b = p.base, dim = b / p.heads;
    const int64_t dense = p.down_sampled ? 2 * (9 * b * b + b) : 0;
    const int64_t depthwise = p.down_sampled ? 2 * (9 * b + 2 * b) : 0;
    const int64_t theirs = 3 * b * b + 3 * b + dense;
    const int64_t ours = 2 * b + 2 * b * b + 2 * b * dim + depthwise;
    EXPECT_EQ(parameter_count(network(p.name)),
              p.parameters - p.attentions * (theirs - ours) - p.hidden)
        << p.name;
  }
}

TEST(CompactFamily, TakesSmallImagesOfOneOrThreeChannels) {
  for (const std::string& name : catalog_names()) {
    if (!name.starts_with("compact")) continue;
    for (int channels : {1, 3}) {
      Architecture architecture = find_architecture(name);
      architecture.resolution = 28;
      architecture.channels = channels;
      const Graph graph = lower(architecture);
      EXPECT_EQ(graph.ops[1].output.height, 28);  // no stride in the stem
      for (const Op& op : graph.ops) EXPECT_GT(op.output.elements(), 0) << name << " " << op.name;
    }
  }
}

TEST(CompactFamily, FollowsItsPlan) {
  Architecture architecture;
  architecture.name = "custom";
  apply({.base = 20, .expanded = 40, .squeezed = 7, .n1 = 1, .n2 = 1, .n3 = 2, .n4 = 1, .heads = 5},
        architecture);
  ASSERT_EQ(architecture.stages.size(), 4u);
  EXPECT_EQ(architecture.stages[0].size(), 2u);
  EXPECT_EQ(std::get<Uib>(architecture.stages[1][0]).kernel1, 5);
  EXPECT_EQ(std::get<Uib>(architecture.stages[1][1]).kernel2, 3);
  EXPECT_EQ(squeezed(std::get<SqueezeExcite>(architecture.stages[2][0]), 20), 7);
  EXPECT_EQ(architecture.stages[2].size(), 4u);
  EXPECT_EQ(std::get<MobileMqa>(architecture.stages[3][1]).key_dim, 4);
}

TEST(Folding, LeavesNoNormButThatBeforeAttention) {
  for (const std::string& name : catalog_names()) {
    const Graph graph = network(name);
    const FoldedGraph folded = fold_norms(graph);
    int attentions = 0;
    for (const Op& op : graph.ops) attentions += op.kind == OpKind::kSoftmax;
    int norms = 0;
    for (const Op& op : folded.graph.ops) {
      norms += op.kind == OpKind::kNorm;
      EXPECT_NE(op.kind, OpKind::kLayerScale);
      for (int input : op.inputs) EXPECT_LT(input, &op - folded.graph.ops.data());
    }
    EXPECT_EQ(norms, attentions) << name;
    EXPECT_EQ(folded.graph.ops.back().output, graph.ops.back().output);
    // Every op of the network is somewhere, once.
    std::set<int> origins;
    for (const auto& list : folded.origins) origins.insert(list.begin(), list.end());
    EXPECT_EQ(origins.size(), graph.ops.size());
  }
}

// An output that something else reads too must stay as it is.
TEST(Folding, StopsWhereTheConvolutionIsReadTwice) {
  Graph graph{.name = "shared", .ops = {}};
  const Shape shape{.channels = 4, .height = 2, .width = 2};
  graph.ops.push_back({.kind = OpKind::kInput, .name = "input", .output = shape});
  graph.ops.push_back({.kind = OpKind::kConv, .name = "conv", .inputs = {0}, .output = shape});
  graph.ops.push_back({.kind = OpKind::kNorm, .name = "norm", .inputs = {1}, .output = shape});
  graph.ops.push_back({.kind = OpKind::kAdd, .name = "add", .inputs = {2, 1}, .output = shape});
  EXPECT_EQ(fold_norms(graph).graph.ops.size(), 4u);
  EXPECT_FALSE(fold_norms(graph).graph.ops[1].bias);
}

// timm's rule: rate * i / n, n counting the head's first convolution.
TEST(DropPath, GrowsLinearlyOverTheBlocks) {
  const Graph graph = network("mnv4-hybrid-medium");
  std::map<std::string, double> drops;
  for (const Op& op : graph.ops) drops[op.name] = op.drop;
  // 1 + 2 + 12 + 16 blocks and the head's.
  EXPECT_DOUBLE_EQ(drops.at("blocks.1.1.add"), 0.075 * 2 / 32);
  EXPECT_DOUBLE_EQ(drops.at("blocks.2.4.add"), 0.075 * 7 / 32);
  EXPECT_DOUBLE_EQ(drops.at("blocks.3.15.add"), 0.075 * 30 / 32);
  EXPECT_DOUBLE_EQ(drops.at("classifier"), 0.2);
  for (const Op& op : network("mnv4-conv-large").ops) {
    if (op.kind == OpKind::kAdd) {
      EXPECT_DOUBLE_EQ(op.drop, 0.2);
    }
  }
}

}  // namespace
}  // namespace ridgewalk
