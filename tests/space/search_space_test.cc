#include "space/search_space.h"
#include "space/derived_spaces.h"

#include "space/catalog.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

TEST(SearchSpaceYaml, IsExactForBuiltInAndDerivedSpaces) {
  std::mt19937_64 random(1);
  std::vector<SearchSpace> spaces = {tiny_space()};
  for (const std::string& name : built_in_spaces()) {
    const SearchSpace space = load_search_space(name);
    const SearchSpace coarse = coarse_space(space);
    const Architecture first = decode(coarse, sample(coarse, random));
    const SearchSpace fine = fine_space(space, first);
    const Architecture second = decode(fine, sample(fine, random));
    spaces.insert(spaces.end(), {space, coarse, fine, hybrid_space(space, second)});
  }
  for (const SearchSpace& space : spaces) {
    EXPECT_EQ(search_space_from_yaml(to_yaml(space), space.name), space) << to_yaml(space);
  }
}

TEST(SearchSpaceSize, CountsWhatCanBeTold) {
  EXPECT_EQ(size(tiny_space()), kTinySpaceSize);
  SearchSpace only_others = tiny_space();
  only_others.stages[0].kind = {StageKind::kFusedIb};
  EXPECT_EQ(size(only_others), 16 * 2 * 2 * 4);
  EXPECT_GT(size(load_search_space("mobile")), 1e20);
}

TEST(Choices, StandWhereTheLayoutSays) {
  for (const std::string& name : built_in_spaces()) {
    const SearchSpace space = load_search_space(name);
    const std::vector<Choice> list = choices(space);
    const ChoiceLayout layout = choice_layout(space);
    ASSERT_EQ(layout.count, std::ssize(list));
    EXPECT_EQ(list[layout.resolution].name, "resolution");
    EXPECT_EQ(list[layout.stem_width].name, "stem.width");
    for (size_t s = 0; s < space.stages.size(); ++s) {
      const std::string prefix = "stages." + std::to_string(s) + ".";
      EXPECT_EQ(list[layout.stages[s].depth].name, prefix + "depth");
      for (size_t b = 0; b < layout.stages[s].blocks.size(); ++b) {
        const Choice& kernel2 = list[layout.stages[s].blocks[b].kernel2];
        EXPECT_EQ(kernel2.name, prefix + std::to_string(b) + ".kernel2");
        EXPECT_EQ(kernel2.options.size(), space.stages[s].blocks[b].kernel2.size());
        EXPECT_EQ(kernel2.kind, ChoiceKind::kOperation);
      }
    }
  }
}

TEST(Choices, WriteNumbersShortAndKnowTheWidest) {
  const SearchSpace space = load_search_space("mobile");
  const std::vector<Choice> list = choices(space);
  const ChoiceLayout layout = choice_layout(space);
  EXPECT_EQ(list[layout.layer_scale].options, (std::vector<std::string>{"0", "1e-05"}));
  EXPECT_EQ(choices(tiny_space())[choice_layout(tiny_space()).stages[1].width].widest, 0);
}

// What decides which weights a block has cannot be blended or widened.
TEST(Choices, OfBlocksWithWeightsOfTheirOwnAreOnlySampled) {
  SearchSpace space = load_search_space("fashion-mnist");
  EXPECT_EQ(to_yaml(space).find("sharing: blocks"), std::string::npos);
  space.sharing = WeightSharing::kBlocks;
  EXPECT_EQ(search_space_from_yaml(to_yaml(space), "again.yaml"), space);
  EXPECT_EQ(coarse_space(space).sharing, WeightSharing::kBlocks);
  const std::vector<Choice> list = choices(space);
  const ChoiceLayout layout = choice_layout(space);
  for (size_t s = 0; s < space.stages.size(); ++s) {
    const StageChoices& stage = layout.stages[s];
    EXPECT_EQ(list[stage.depth].kind, ChoiceKind::kOperation);
    EXPECT_EQ(list[stage.width].kind, ChoiceKind::kFilters);
    if (space.stages[s].kind != std::vector{StageKind::kUib}) {  // whose expansions are slices
      EXPECT_EQ(list[stage.blocks[0].expansion].kind, ChoiceKind::kFilters);
      continue;
    }
    for (const BlockChoices& block : stage.blocks) {
      for (int choice : {block.expansion, block.kernel1, block.kernel2}) {
        EXPECT_EQ(list[choice].kind, ChoiceKind::kOther) << list[choice].name;
      }
    }
  }
}

// MobileNetV4, appendix A: expansion 4, one 3x3 depthwise convolution in the middle.
TEST(CoarseSpace, HasOnlyInvertedBottlenecksOfExpansionFour) {
  std::mt19937_64 random(5);
  for (const std::string& name : built_in_spaces()) {
    const SearchSpace space = load_search_space(name);
    const SearchSpace coarse = coarse_space(space);
    for (int i = 0; i < 300; ++i) {
      const Architecture a = decode(coarse, sample(coarse, random));
      int width = a.stem.width;
      for (const auto& stage : a.stages) {
        for (const Block& block : stage) {
          EXPECT_FALSE(std::holds_alternative<MobileMqa>(block));
          if (const auto* uib = std::get_if<Uib>(&block)) {
            EXPECT_EQ(uib->kernel1, 0);
            EXPECT_EQ(uib->kernel2, 3);
            EXPECT_EQ(uib->expanded, 4 * width);
          }
          width = output_width(block, width);
        }
      }
      EXPECT_NO_THROW(encode(space, a)) << "a coarse architecture is one of the whole space";
    }
  }
}

std::vector<Block> without_attention(const std::vector<Block>& stage) {
  std::vector<Block> blocks;
  for (const Block& block : stage) {
    if (!std::holds_alternative<MobileMqa>(block)) blocks.push_back(block);
  }
  return blocks;
}

Block without_kernels(Block block) {
  if (auto* uib = std::get_if<Uib>(&block)) uib->kernel1 = uib->kernel2 = 0;
  return block;
}

TEST(FineSpace, ChangesKernelsAlone) {
  std::mt19937_64 random(6);
  for (const std::string& name : built_in_spaces()) {
    const SearchSpace space = load_search_space(name);
    const SearchSpace coarse = coarse_space(space);
    for (int i = 0; i < 50; ++i) {
      const Architecture first = decode(coarse, sample(coarse, random));
      const SearchSpace fine = fine_space(space, first);
      const Architecture second = decode(fine, sample(fine, random));
      EXPECT_EQ(second.resolution, first.resolution);
      EXPECT_EQ(second.stem, first.stem);
      for (size_t s = 0; s < first.stages.size(); ++s) {
        ASSERT_EQ(second.stages[s].size(), first.stages[s].size());
        for (size_t b = 0; b < first.stages[s].size(); ++b) {
          EXPECT_EQ(without_kernels(second.stages[s][b]), without_kernels(first.stages[s][b]));
        }
      }
      EXPECT_NO_THROW(encode(space, second));
    }
  }
}

TEST(FineSpace, OffersAllKernelsOfTheSpace) {
  const SearchSpace space = load_search_space("mobile");
  const Architecture coarse = decode(coarse_space(space), [&] {
    std::mt19937_64 random(7);
    return sample(coarse_space(space), random);
  }());
  const SearchSpace fine = fine_space(space, coarse);
  EXPECT_EQ(fine.stages[2].blocks[0].kernel2, (std::vector<int>{3, 5}));  // takes the stride
  EXPECT_EQ(fine.stages[2].blocks[1].kernel2, (std::vector<int>{0, 3, 5}));
  EXPECT_EQ(fine.stages[2].blocks[1].kernel1, (std::vector<int>{0, 3, 5}));
}

TEST(HybridSpace, AddsAttentionInTheLastTwoResolutionsAlone) {
  std::mt19937_64 random(8);
  for (const std::string& name : built_in_spaces()) {
    const SearchSpace space = load_search_space(name);
    const SearchSpace coarse = coarse_space(space);
    int attentions = 0;
    for (int i = 0; i < 50; ++i) {
      const SearchSpace fine = fine_space(space, decode(coarse, sample(coarse, random)));
      const Architecture second = decode(fine, sample(fine, random));
      const SearchSpace hybrid = hybrid_space(space, second);
      const Architecture third = decode(hybrid, sample(hybrid, random));
      for (size_t s = 0; s < third.stages.size(); ++s) {
        EXPECT_EQ(without_attention(third.stages[s]), second.stages[s]);
        const auto added = third.stages[s].size() - second.stages[s].size();
        if (s + 2 < third.stages.size()) {
          EXPECT_EQ(added, 0u);
        }
        attentions += static_cast<int>(added);
      }
      EXPECT_NO_THROW(encode(space, third));
    }
    EXPECT_GT(attentions, 0);
  }
}

// A last stage without a stride belongs to the resolution before it.
TEST(HybridSpace, CountsResolutionsAndNotStages) {
  SearchSpace space = load_search_space("mobile");
  for (StageSpace& stage : space.stages) {
    for (BlockSpace& block : stage.blocks) block.attention = {std::nullopt, MobileMqa{}};
  }
  space.stages.push_back(space.stages.back());
  space.stages.back().stride = 1;
  std::mt19937_64 random(9);
  const SearchSpace coarse = coarse_space(space);
  SearchSpace hybrid = hybrid_space(space, decode(coarse, sample(coarse, random)));
  for (size_t s = 0; s < 5; ++s) {
    const bool may_attend = hybrid.stages[s].blocks[0].attention.size() > 1;
    EXPECT_EQ(may_attend, s >= 2) << s;
  }
}

TEST(DerivedSpaces, RefuseAnArchitectureOfAnotherPlan) {
  const Architecture other = find_architecture("mnv4-conv-small");
  EXPECT_THAT(error_of([&] { fine_space(load_search_space("fashion-mnist"), other); }),
              HasSubstr("does not have the stages of the space 'fashion-mnist'"));
}

}  // namespace
}  // namespace ridgewalk
