#include "space/decisions.h"
#include "space/derived_spaces.h"

#include <map>
#include <set>

#include "space/catalog.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

void expect_inverses(const SearchSpace& space, int count, std::mt19937_64& random) {
  for (int i = 0; i < count; ++i) {
    const Decisions decisions = sample(space, random);
    const Architecture architecture = decode(space, decisions);
    ASSERT_EQ(encode(space, architecture), decisions) << to_yaml(architecture);
  }
}

TEST(Decisions, EncodeIsTheInverseOfDecode) {
  std::mt19937_64 random(11);
  for (const std::string& name : built_in_spaces()) {
    expect_inverses(load_search_space(name), 3000, random);
  }
  expect_inverses(tiny_space(), 3000, random);
}

TEST(Decisions, EncodeIsTheInverseOfDecodeInDerivedSpaces) {
  std::mt19937_64 random(12);
  for (const std::string& name : built_in_spaces()) {
    const SearchSpace space = load_search_space(name);
    const SearchSpace coarse = coarse_space(space);
    for (int i = 0; i < 20; ++i) {
      expect_inverses(coarse, 50, random);
      const SearchSpace fine = fine_space(space, decode(coarse, sample(coarse, random)));
      expect_inverses(fine, 50, random);
      const SearchSpace hybrid = hybrid_space(space, decode(fine, sample(fine, random)));
      expect_inverses(hybrid, 50, random);
    }
  }
}

TEST(Decisions, ThePublishedNetworksAreMembersOfMobile) {
  const SearchSpace mobile = load_search_space("mobile");
  const std::vector<std::string> published = {"mnv4-conv-small", "mnv4-conv-medium",
                                              "mnv4-conv-large", "mnv4-hybrid-medium",
                                              "mnv4-hybrid-large"};
  for (const std::string& name : published) {
    const Architecture network = find_architecture(name);
    Architecture again = decode(mobile, encode(mobile, network));
    again.name = name;
    again.regularization = network.regularization;
    EXPECT_EQ(again, network);
  }
}

// 4,652,008 parameters (timm 1.0's efficientnet_lite0), and what a dense 3x3 convolution of 32
// channels has beyond a depthwise one.
TEST(Decisions, EfficientNetLite0IsAMemberOfItsSpace) {
  Architecture network = load_architecture("experiments/configs/networks/efficientnet-lite0.yaml");
  EXPECT_EQ(parameter_count(lower(network)), 4652008 + 32 * 31 * 9);
  const SearchSpace space = load_search_space("experiments/configs/spaces/efficientnet-lite0.yaml");
  network.resolution = space.resolution[0];
  network.classes = space.classes;
  EXPECT_EQ(decode(space, encode(space, network)).stages, network.stages);
}

TEST(Decisions, AreAsManyAsTheSpaceIsLarge) {
  const SearchSpace space = tiny_space();
  std::set<Decisions> decisions;
  for_each_raw_decisions(space, [&](const Decisions& d) { decisions.insert(d); });
  std::set<std::string> architectures;
  for (const Decisions& d : decisions) {
    const Architecture a = decode(space, d);
    ASSERT_EQ(encode(space, a), d);
    architectures.insert(to_yaml(a));
  }
  EXPECT_EQ(decisions.size(), kTinySpaceSize);
  EXPECT_EQ(architectures.size(), kTinySpaceSize);
}

TEST(Sample, ReachesEveryArchitecture) {
  SearchSpace space = tiny_space();
  space.resolution = {20};
  space.activation = {Activation::kRelu};
  space.layer_scale = {0};
  space.stem_width = {8};
  space.stages[1].width = {8};
  space.stages[1].blocks[0].kernel2 = {3};
  std::mt19937_64 random(13);
  std::set<Decisions> seen;
  for (int i = 0; i < 40000; ++i) seen.insert(sample(space, random));
  EXPECT_EQ(seen.size(), 280u);
  EXPECT_EQ(size(space), 280);
}

using Shapes = std::map<std::string, std::vector<int64_t>>;

void widen(Shapes& shapes, const Graph& graph) {
  for (int i = 0; i < std::ssize(graph.ops); ++i) {
    for (const Parameter& p : parameters(graph, i)) {
      std::vector<int64_t>& widest = shapes[p.name];
      widest.resize(p.shape.size());
      for (size_t d = 0; d < p.shape.size(); ++d) widest[d] = std::max(widest[d], p.shape[d]);
    }
  }
}

TEST(Covering, TouchesEverySharedParameterAtItsLargest) {
  std::mt19937_64 random(14);
  std::vector<SearchSpace> spaces = {tiny_space()};
  for (const std::string& name : built_in_spaces()) spaces.push_back(load_search_space(name));
  for (size_t s = 0, count = spaces.size(); s < count; ++s) {
    if (spaces[s].name == "mobile") continue;  // 30 combinations of a block in 30 places
    spaces.push_back(spaces[s]);
    spaces.back().sharing = WeightSharing::kBlocks;
  }
  for (const SearchSpace& space : spaces) {
    Shapes covered;
    for (const BlendedArchitecture& a : covering(space)) {
      EXPECT_NO_THROW(encode(space, a.architecture));
      widen(covered, lower(a));
    }
    for (int i = 0; i < 500; ++i) {
      Shapes sampled;
      widen(sampled, lower(decode_blended(space, sample(space, random))));
      for (const auto& [name, shape] : sampled) {
        ASSERT_TRUE(covered.contains(name)) << space.name << ": " << name;
        ASSERT_EQ(covered[name].size(), shape.size());
        for (size_t d = 0; d < shape.size(); ++d) ASSERT_GE(covered[name][d], shape[d]) << name;
      }
    }
  }
}

TEST(Decode, RefusesDecisionsThatAreNone) {
  const SearchSpace space = tiny_space();
  const ChoiceLayout layout = choice_layout(space);
  Decisions shallow(layout.count, 0);
  deactivate_unused(space, layout, shallow);
  ASSERT_NO_THROW(decode(space, shallow));

  const auto refusal = [&](int choice, int decision) {
    Decisions wrong = shallow;
    wrong[choice] = decision;
    return error_of([&] { decode(space, wrong); });
  };
  EXPECT_THAT(refusal(layout.resolution, 2), HasSubstr("not one of 2 options"));
  EXPECT_THAT(refusal(layout.resolution, -7), HasSubstr("not one of 2 options"));
  EXPECT_THAT(refusal(layout.stages[0].blocks[1].kernel1, 0), HasSubstr("has no use here"));
  EXPECT_THAT(refusal(layout.stages[0].blocks[0].kernel1, kInactive), HasSubstr("not one of"));
  EXPECT_THAT(refusal(layout.stages[0].blocks[0].kernel1, kBlend), HasSubstr("blend"));
  EXPECT_THAT(error_of([&] { decode(space, Decisions(3, 0)); }), HasSubstr("given 3 decisions"));
}

TEST(Encode, SaysWhatTheSpaceLacks) {
  const SearchSpace mobile = load_search_space("mobile");
  const auto refusal = [&](auto change) {
    Architecture a = find_architecture("mnv4-hybrid-medium");
    change(a);
    return error_of([&] { encode(mobile, a); });
  };
  EXPECT_THAT(refusal([](Architecture& a) { a.resolution = 320; }), HasSubstr("resolution"));
  EXPECT_THAT(refusal([](Architecture& a) { a.classes = 10; }), HasSubstr("classes"));
  EXPECT_THAT(refusal([](Architecture& a) { a.head.width = 961; }), HasSubstr("head"));
  EXPECT_THAT(refusal([](Architecture& a) { a.stages.pop_back(); }), HasSubstr("3 stages"));
  EXPECT_THAT(refusal([](Architecture& a) { a.stages[2].clear(); }), HasSubstr("empty"));
  EXPECT_THAT(refusal([](Architecture& a) { std::get<Uib>(a.stages[2][1]).kernel1 = 7; }),
              HasSubstr("stage 2, block 1: kernel1"));
  EXPECT_THAT(refusal([](Architecture& a) { std::get<Uib>(a.stages[2][1]).expanded = 72; }),
              HasSubstr("no expansion of the space gives 72 from 160"));
  EXPECT_THAT(refusal([](Architecture& a) { std::get<MobileMqa>(a.stages[2][4]).heads = 5; }),
              HasSubstr("attention"));
  EXPECT_THAT(
      refusal([](Architecture& a) { a.stages[2].insert(a.stages[2].begin(), MobileMqa{}); }),
      HasSubstr("attention must follow a UIB"));
  EXPECT_THAT(refusal([](Architecture& a) { a.stem.stride = 1; }), HasSubstr("stride"));
  EXPECT_THAT(refusal([](Architecture& a) {
                a.stages[3][2] = InvertedResidual{.expanded = 1024, .width = 256};
              }),
              HasSubstr("stage 3, block 2: a block among UIBs is not a UIB"));
  EXPECT_THAT(refusal([](Architecture& a) { a.norm.epsilon = 1e-3; }), HasSubstr("norm"));
}

}  // namespace
}  // namespace ridgewalk
