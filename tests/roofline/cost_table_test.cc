#include "roofline/cost_table.h"

#include "roofline/latency.h"
#include "space/catalog.h"
#include "space/derived_spaces.h"
#include "tests/helpers.h"
#include "tests/roofline/enumeration.h"
#include "tests/test_name.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

const std::vector<LatencyModel> kRidgePoints =
    rooflines({{0}, {5}, {31.2}, {100}, {347.3}, {433.8}, {500}});

void expect_price_of_lowering(const CostTable& table, const SearchSpace& space,
                              const Decisions& decisions) {
  const Graph graph = lower(decode(space, decisions));
  const std::vector<OpCost> costs = op_costs(graph);
  const std::vector<Macs> price = table.price(decisions);
  for (size_t r = 0; r < table.models().size(); ++r) {
    const LatencyModel& model = table.models()[r];
    Macs sum;
    for (const OpCost& cost : costs) sum += op_time(cost, model.ridge_point, model.data_type);
    ASSERT_EQ(price[r], sum) << to_yaml(decode(space, decisions));
  }
  ASSERT_EQ(table.parameters(decisions), parameter_count(graph));
}

class BuiltInSpace : public testing::TestWithParam<const char*> {};

TEST_P(BuiltInSpace, IsPricedAsItIsLowered) {
  const SearchSpace space = load_search_space(GetParam());
  const CostTable table(space, kRidgePoints);
  std::mt19937_64 random(21);
  for (int i = 0; i < 5000; ++i) {
    expect_price_of_lowering(table, space, sample(space, random));
    if (HasFatalFailure()) return;
  }
}

TEST_P(BuiltInSpace, ReachesNoFurtherThanTheTableSays) {
  const SearchSpace space = load_search_space(GetParam());
  const CostTable table(space, kRidgePoints);
  const std::vector<CostTable::Range> reachable = table.reachable();
  std::mt19937_64 random(22);
  for (int i = 0; i < 20000; ++i) {
    const std::vector<Macs> price = table.price(sample(space, random));
    for (size_t r = 0; r < price.size(); ++r) {
      ASSERT_GE(price[r], reachable[r].lowest);
      ASSERT_LE(price[r], reachable[r].highest);
    }
  }
}

TEST_P(BuiltInSpace, HasATableForItsDerivedSpaces) {
  const SearchSpace space = load_search_space(GetParam());
  const SearchSpace coarse = coarse_space(space);
  std::mt19937_64 random(23);
  for (int i = 0; i < 3; ++i) {
    const SearchSpace fine = fine_space(space, decode(coarse, sample(coarse, random)));
    const SearchSpace hybrid = hybrid_space(space, decode(fine, sample(fine, random)));
    for (const SearchSpace& derived : {coarse, fine, hybrid}) {
      const CostTable table(derived, {{31.2}});
      for (int j = 0; j < 50; ++j) {
        expect_price_of_lowering(table, derived, sample(derived, random));
        if (HasFatalFailure()) return;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Spaces, BuiltInSpace,
                         testing::Values("mobile", "fashion-mnist", "fashion-mnist-kinds",
                                         "fashion-mnist-wide", "fashion-mnist-small"),
                         [](const auto& test) { return test_name(test.param); });

TEST(CostTable, KnowsThePublishedNetworks) {
  const SearchSpace space = load_search_space("mobile");
  const CostTable table(space, {{0}});
  const auto macs = [&](const char* name) {
    return table.price(encode(space, find_architecture(name)))[0].value;
  };
  EXPECT_EQ(macs("mnv4-conv-small"), 186005568);
  EXPECT_EQ(macs("mnv4-hybrid-medium"), 1271183360);
  EXPECT_EQ(macs("mnv4-hybrid-large"), 7711877120);
  EXPECT_EQ(table.parameters(encode(space, find_architecture("mnv4-hybrid-large"))), 37764624);
  EXPECT_EQ(table.parameters(encode(space, find_architecture("mnv4-conv-medium"))), 9715512);
}

TEST(CostTable, TakesManyRidgePointsAndWideTypes) {
  const SearchSpace space = tiny_space();
  const CostTable table(space, rooflines(ridge_points(0, 500, 19), DataType::kBf16));
  std::mt19937_64 random(24);
  for (int i = 0; i < 300; ++i) {
    expect_price_of_lowering(table, space, sample(space, random));
    if (HasFatalFailure()) return;
  }
  EXPECT_TRUE(CostTable(space, {}).price(sample(space, random)).empty());
}

// A head without features, or without any convolution, is no block by its ops' names.
TEST(CostTable, CountsEveryHeadOnce) {
  for (const Head& head : {Head{.width = 48, .features = 0}, Head{.width = 0, .features = 0},
                           Head{.width = 0, .features = 40}, Head{.width = 48, .features = 40}}) {
    SearchSpace space = tiny_space();
    space.head = head;
    const CostTable table(space, kRidgePoints);
    std::mt19937_64 random(25);
    for (int i = 0; i < 50; ++i) {
      expect_price_of_lowering(table, space, sample(space, random));
      if (HasFatalFailure()) return;
    }
  }
}

// Blocks with their own options, an odd order of kinds, mandatory attention.
TEST(CostTable, FollowsIrregularSpaces) {
  SearchSpace space = tiny_space();
  StageSpace& stage = space.stages[0];
  stage.kind = {StageKind::kConvPair, StageKind::kUib};
  stage.depth = {4, 1};
  stage.blocks.resize(4, stage.blocks[1]);
  stage.blocks[2].kernel1 = {5};
  stage.blocks[3] = stage.blocks[2];
  stage.blocks[1].attention = {MobileMqa{.heads = 1, .key_dim = 4, .value_dim = 4}};
  space.stages.push_back(
      {.kind = {StageKind::kFusedIb}, .width = {8, 40}, .depth = {2, 1}, .blocks = stage.blocks});
  space.stages.back().blocks.resize(2);
  space.stages.back().blocks[0].kernel2 = {3};
  const CostTable table(space, kRidgePoints);
  const std::vector<CostTable::Range> reachable = table.reachable();
  EXPECT_DOUBLE_EQ(table.price(reachable[2].least)[2].value, reachable[2].lowest.value);
  EXPECT_DOUBLE_EQ(table.price(reachable[2].most)[2].value, reachable[2].highest.value);
  EXPECT_NO_THROW(decode(space, reachable[2].least));
  EXPECT_NO_THROW(decode(space, reachable[2].most));
  std::mt19937_64 random(25);
  for (int i = 0; i < 2000; ++i) {
    const Decisions decisions = sample(space, random);
    expect_price_of_lowering(table, space, decisions);
    if (HasFatalFailure()) return;
    EXPECT_LE(reachable[2].lowest, table.price(decisions)[2]);
    EXPECT_GE(reachable[2].highest, table.price(decisions)[2]);
  }
}

TEST(Reachable, IsWhatEnumerationFinds) {
  const SearchSpace space = tiny_space();
  const CostTable table(space, kRidgePoints);
  expect_enumerated_reach(space, kRidgePoints);
  int step = 0;
  for_each_raw_decisions(space, [&](const Decisions& decisions) {
    if (step++ % 41 == 0) expect_price_of_lowering(table, space, decisions);
  });
}

TEST(CostTable, RefusesWhatHasNoPrice) {
  const SearchSpace space = tiny_space();
  const ChoiceLayout layout = choice_layout(space);
  const CostTable table(space, {{0}});
  Decisions decisions(layout.count, 0);
  deactivate_unused(space, layout, decisions);
  const auto refusal = [&](int choice, int decision) {
    Decisions wrong = decisions;
    wrong[choice] = decision;
    return error_of([&] { table.price(wrong); });
  };
  EXPECT_THAT(refusal(layout.stages[0].blocks[0].kernel1, kBlend), HasSubstr("has no price"));
  EXPECT_THAT(refusal(layout.stages[0].depth, kBlend), HasSubstr("has no price"));
  EXPECT_THAT(refusal(layout.resolution, 2), HasSubstr("has no price"));
  EXPECT_THAT(error_of([&] { table.parameters({0, 0}); }), HasSubstr("given 2 decisions"));

  SearchSpace vast = space;
  vast.stages[0].width.clear();
  for (int width = 8; width <= 16000; width += 8) vast.stages[0].width.push_back(width);
  vast.stem_width = vast.stages[0].width;
  EXPECT_THAT(error_of([&] { CostTable(vast, {{0}}); }), HasSubstr("offer fewer options"));
}

}  // namespace
}  // namespace ridgewalk
