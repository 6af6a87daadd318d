#include "space/architecture.h"

#include "space/catalog.h"
#include "tests/grouped_network.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

Architecture every_block() {
  Architecture a;
  a.name = "every: [block] 'quoted'";
  a.resolution = 33;
  a.channels = 1;
  a.classes = 7;
  a.activation = Activation::kHardSwish;
  a.layer_scale = 0.1 + 0.2;  // not a short decimal
  a.stem = {.kernel = 5, .stride = 1, .width = 12, .activation = Activation::kGelu};
  a.norm = {.epsilon = 0.003, .momentum = 0.2};
  a.regularization = {.drop_path = 0.1, .flat_drop_path = true, .dropout = 0.3};
  a.fixed_stem_below = 0.75;
  const SqueezeExcite gate{.ratio = 1.0 / 3,
                           .divisor = 5,
                           .activation = Activation::kSilu,
                           .function = GateFunction::kSigmoid};
  a.stages = {{Conv{.kernel = 1, .width = 9, .activation = Activation::kNone}},
              {FusedIb{.kernel = 7, .stride = 2, .expanded = 20, .width = 10}},
              {Uib{.kernel1 = 3, .kernel2 = 0, .expanded = 40, .width = 11, .stride = 2},
               MobileMqa{.heads = 2, .key_dim = 6, .value_dim = 5, .kv_stride = 2},
               MobileMqa{.heads = 3, .key_dim = 6, .value_dim = 5, .kv_heads = 3}},
              {DepthwiseSeparable{.kernel = 5, .stride = 2, .width = 13, .linear = false},
               DepthwiseSeparable{.width = 13, .squeeze_excite = gate},
               InvertedResidual{
                   .kernel = 7, .stride = 2, .expanded = 29, .width = 14, .squeeze_excite = gate},
               gate}};
  a.head = {.width = 24, .features = 31, .features_norm = false};
  return a;
}

TEST(ArchitectureYaml, IsExactForEveryFieldOfEveryBlock) {
  const Architecture a = every_block();
  EXPECT_EQ(architecture_from_yaml(to_yaml(a), "a.yaml"), a) << to_yaml(a);
}

TEST(ArchitectureYaml, IsExactForGroups) {
  const Architecture a = grouped_network();
  EXPECT_EQ(architecture_from_yaml(to_yaml(a), "a.yaml"), a) << to_yaml(a);
  EXPECT_THAT(to_yaml(without_groups(a)), testing::Not(testing::HasSubstr("groups")));
}

TEST(Architecture, NeedsGroupsThatDivideTheChannels) {
  const auto refused = [](const Block& block) {
    Architecture a = grouped_network();
    a.stages = {{block}};  // after 16 channels
    return error_of([&] { validate(a); });
  };
  using testing::HasSubstr;
  EXPECT_THAT(refused(Conv{.width = 32, .groups = 0}), HasSubstr("groups is 0; it must be from 1"));
  EXPECT_THAT(refused(Conv{.width = 30, .groups = 4}),
              HasSubstr("groups is 4; it must divide width, 30"));
  EXPECT_THAT(refused(Conv{.width = 30, .groups = 3}),
              HasSubstr("groups is 3; it must divide the channels of its input, 16"));
  EXPECT_THAT(refused(InvertedResidual{.expanded = 50, .width = 24, .groups = 4}),
              HasSubstr("it must divide expanded, 50"));
  EXPECT_THAT(refused(Uib{.expanded = 64, .width = 25, .groups = 2}),
              HasSubstr("it must divide width, 25"));
  Architecture stem = grouped_network();
  stem.stem.groups = 2;  // of 3 channels
  EXPECT_THAT(error_of([&] { validate(stem); }), HasSubstr("stem"));
}

// Depthwise stays depthwise; other groups must divide the new widths.
TEST(Architecture, ScalesGroups) {
  Architecture a = grouped_network();
  a.stages = {{Conv{.width = 32, .groups = 8}, Conv{.width = 32, .groups = 32}}};
  const Architecture half = scale(a, 0.5);
  EXPECT_EQ(std::get<Conv>(half.stages[0][0]).groups, 8);
  EXPECT_EQ(std::get<Conv>(half.stages[0][1]).groups, 16);
  a.stages = {{Conv{.width = 48, .groups = 16}}};
  EXPECT_THAT(error_of([&] { scale(a, 0.5); }), testing::HasSubstr("it must divide"));
}

TEST(ArchitectureYaml, IsExactForTheCatalogue) {
  for (const std::string& name : catalog_names()) {
    const Architecture a = find_architecture(name);
    EXPECT_EQ(architecture_from_yaml(to_yaml(a), name), a);
  }
}

TEST(ArchitectureYaml, IsExactForRandomMembersOfTheBuiltInSpaces) {
  std::mt19937_64 random(1);
  for (const std::string& name : built_in_spaces()) {
    const SearchSpace space = load_search_space(name);
    for (int i = 0; i < 600; ++i) {
      const Architecture a = decode(space, sample(space, random));
      ASSERT_EQ(architecture_from_yaml(to_yaml(a), name), a) << to_yaml(a);
    }
  }
}

TEST(Scale, KeepsStemAndFeaturesBelowOne) {
  const Architecture half = find_architecture("mnv4-conv-small@0.5");
  EXPECT_EQ(half.stem.width, 32);
  EXPECT_EQ(half.head.width, 480);
  EXPECT_EQ(half.head.features, 1280);
  EXPECT_EQ(half.name, "mnv4-conv-small@0.5");
  EXPECT_EQ(scale(half, 1).stages, half.stages);
}

TEST(Scale, RefusesWhatCannotBeBuilt) {
  Architecture a = every_block();
  EXPECT_THAT(error_of([&] { scale(a, 0); }), HasSubstr("must be in (0, 64]"));
  a.stages[2][0] = Uib{.expanded = 65536, .width = 65536};
  EXPECT_THAT(error_of([&] { scale(a, 64); }), HasSubstr("it must be from 1 to 65536"));
}

TEST(Catalogue, NamesWhatIsNearestToAnUnknownName) {
  EXPECT_THAT(error_of([] { find_architecture("mnv9"); }),
              HasSubstr("mnv9: neither a file nor in the catalogue; did you mean mnv4-"));
  EXPECT_THAT(error_of([] { find_architecture("mnv4-conv-small@wide"); }), HasSubstr("number"));
  EXPECT_THAT(error_of([] { find_architecture("mnv4-conv-small@0"); }), HasSubstr("(0, 64]"));
  EXPECT_THAT(error_of([] { find_architecture("mnv4-conv-small@nan"); }), HasSubstr("number"));
}

}  // namespace
}  // namespace ridgewalk
