#include "roofline/cost.h"

#include <map>

#include "space/catalog.h"
#include "space/lowering.h"
#include "tests/grouped_network.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

struct Published {
  const char* name;
  int64_t parameters;
  double macs;
  double attention_macs;
};

// Counted on the released networks (timm 1.0.15) at their own resolutions.
TEST(NetworkCost, IsThePublishedOne) {
  const std::vector<Published> networks = {
      {"mnv4-conv-small", 3774024, 186005568, 0},
      {"mnv4-conv-medium", 9715512, 1080244224, 0},
      {"mnv4-conv-large", 32590864, 6376220672, 0},
      {"mnv4-hybrid-medium", 11074648, 1271183360, 41943040},
      {"mnv4-hybrid-large", 37764624, 7711877120, 339738624},
      {"mnv4-hybrid-medium-paper", 11170008, 1296988160, 41943040},
      {"mnv4-conv-small-050", 2238952, 64741408, 0},
  };
  for (const Published& network : networks) {
    const NetworkCost cost = network_cost(lower(find_architecture(network.name)));
    EXPECT_EQ(cost.parameters, network.parameters) << network.name;
    EXPECT_EQ(cost.macs.value, network.macs) << network.name;
    EXPECT_EQ(cost.attention_macs.value, network.attention_macs) << network.name;
  }
}

// MACs as their papers print them: arXiv 1704.04861, table 4; 1801.04381, table 4 (300 M);
// 1905.02244, table 3 (219 M; torchvision counts 217 M). To 0.1 G, the multiples of MobileNetV4's
// table 6.
TEST(NetworkCost, OfTheComparisonNetworksIsWhatTheirPapersSay) {
  const auto millions = [](const char* name) {
    return network_cost(lower(find_architecture(name))).macs.value / 1e6;
  };
  EXPECT_NEAR(millions("mobilenet-v1"), 569, 0.5);
  EXPECT_NEAR(millions("mobilenet-v2"), 300, 1);
  EXPECT_NEAR(millions("mobilenet-v3-large"), 217, 0.5);
  const std::pair<const char*, double> tenths[] = {{"mobilenet-v2-050", 100},
                                                   {"mobilenet-v2-150", 700},
                                                   {"mobilenet-v2-200", 1100},
                                                   {"mobilenet-v3-large-050", 100}};
  for (const auto& [name, published] : tenths) EXPECT_NEAR(millions(name), published, 50) << name;
}

TEST(NetworkCost, IsRefusedBeyondWhatADoubleCounts) {
  Architecture huge{.name = "huge", .resolution = 8192};
  huge.stages = {
      std::vector<Block>(20, MobileMqa{.heads = 256, .key_dim = 4096, .value_dim = 4096})};
  EXPECT_THAT(error_of([&] { network_cost(lower(huge)); }), testing::HasSubstr("2^53"));
}

class Layers : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(Layers, HaveTimmsMacsAndParameters) {
  const auto [name, file] = GetParam();
  const Graph graph = lower(find_architecture(name));
  const std::vector<OpCost> costs = op_costs(graph);
  std::map<std::string, size_t> ops;
  for (size_t i = 0; i < graph.ops.size(); ++i) ops[graph.ops[i].name] = i;
  size_t counted = 0;
  for (const CsvRow& row : read_csv(file)) {
    std::string layer = at(row, "name");
    std::replace(layer.begin(), layer.end(), ':', '.');
    if (layer.ends_with(".qk")) layer = layer.substr(0, layer.size() - 2) + "scores";
    if (layer.ends_with(".av")) layer = layer.substr(0, layer.size() - 2) + "mix";
    ASSERT_TRUE(ops.contains(layer)) << layer;
    const OpCost& cost = costs[ops[layer]];
    EXPECT_EQ(cost.macs.value, std::stod(at(row, "macs"))) << layer;
    EXPECT_EQ(cost.parameters, std::stoll(at(row, "weight_params"))) << layer;
    counted += cost.macs.value > 0;
  }
  const auto priced = std::count_if(costs.begin(), costs.end(),
                                    [](const OpCost& cost) { return cost.macs.value > 0; });
  EXPECT_EQ(counted, static_cast<size_t>(priced));
}

INSTANTIATE_TEST_SUITE_P(
    Timm, Layers,
    testing::Values(
        std::pair("mnv4-conv-small", "tests/data/layers_mobilenetv4_conv_small_r224.csv"),
        std::pair("mnv4-hybrid-medium", "tests/data/layers_mobilenetv4_hybrid_medium_r256.csv")),
    [](const auto& test) { return test.index == 0 ? "ConvSmall" : "HybridMedium"; });

OpCost cost_of(const Architecture& a, const std::string& name) {
  const Graph graph = lower(a);
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    if (graph.ops[i].name == name) return op_costs(graph)[i];
  }
  ADD_FAILURE() << name;
  return {};
}

// 8x8 pixels, 4 channels after the stem; keys and values on 4x4 positions.
Architecture small_network() {
  Architecture a{.name = "small", .resolution = 8, .channels = 3, .classes = 10};
  a.stem = {.kernel = 3, .stride = 1, .width = 4};
  a.layer_scale = 0.5;
  a.stages = {{Uib{.kernel1 = 5, .kernel2 = 3, .expanded = 16, .width = 4},
               MobileMqa{.heads = 2, .key_dim = 6, .value_dim = 5, .kv_stride = 2},
               SqueezeExcite{.ratio = 0.5, .divisor = 1}}};
  a.head = {.width = 12, .features = 20};
  return a;
}

void expect_cost(const OpCost& cost, double macs, int64_t weights, int64_t activations,
                 int64_t parameters) {
  EXPECT_EQ(cost.macs.value, macs);
  EXPECT_EQ(cost.weight_elements, weights);
  EXPECT_EQ(cost.activation_elements, activations);
  EXPECT_EQ(cost.parameters, parameters);
}

// Each of two heads has keys and values of its own; the products are those of multi-query
// attention.
TEST(OpCosts, OfMultiHeadAttentionAreCountedByHand) {
  Architecture a = small_network();
  std::get<MobileMqa>(a.stages[0][1]).kv_heads = 2;
  const auto check = [&](const char* name, double macs, int64_t weights, int64_t activations) {
    SCOPED_TRACE(name);
    expect_cost(cost_of(a, name), macs, weights, activations, weights);
  };
  check("blocks.0.1.attn.query.proj", 64 * 4 * 12, 4 * 12, 64 * (4 + 12));
  check("blocks.0.1.attn.key.proj", 16 * 4 * 12, 4 * 12, 16 * (4 + 12));
  check("blocks.0.1.attn.value.proj", 16 * 4 * 10, 4 * 10, 16 * (4 + 10));
  check("blocks.0.1.attn.scores", 2 * 64 * 16 * 6, 0, 64 * 12 + 16 * 12 + 2 * 64 * 16);
  check("blocks.0.1.attn.mix", 2 * 64 * 16 * 5, 0, 2 * 64 * 16 + 16 * 10 + 64 * 10);
  check("blocks.0.1.attn.output.proj", 64 * 4 * 10, 4 * 10, 64 * (4 + 10));
}

// Three more heads of 64 keys and 64 values in each of four blocks of 160 channels and of four of
// 256, all computed at 64 positions.
TEST(OpCosts, OfMultiHeadAttentionExceedThoseOfMultiQueryByItsProjections) {
  const Architecture query = find_architecture("mnv4-hybrid-medium");
  Architecture head = query;
  for (auto& stage : head.stages) {
    for (Block& block : stage) {
      if (auto* mqa = std::get_if<MobileMqa>(&block)) mqa->kv_heads = mqa->heads;
    }
  }
  const NetworkCost one = network_cost(lower(query)), all = network_cost(lower(head));
  const int64_t more = 4 * (3 * 128 * 160) + 4 * (3 * 128 * 256);
  EXPECT_EQ(all.parameters - one.parameters, more);
  EXPECT_EQ(all.macs.value - one.macs.value, double(64 * more));
  EXPECT_EQ(all.attention_macs.value, one.attention_macs.value);
}

TEST(OpCosts, AreCountedByHand) {
  const Architecture a = small_network();
  const auto check = [&](const char* name, double macs, int64_t weights, int64_t activations,
                         int64_t parameters) {
    SCOPED_TRACE(name);
    expect_cost(cost_of(a, name), macs, weights, activations, parameters);
  };
  check("input", 0, 0, 0, 0);
  check("conv_stem", 64 * 4 * 3 * 9, 4 * 3 * 9, 64 * (3 + 4), 4 * 3 * 9);
  check("bn1", 0, 0, 0, 2 * 4);
  check("blocks.0.0.dw_start.conv", 64 * 4 * 25, 4 * 25, 64 * (4 + 4), 4 * 25);
  check("blocks.0.2.conv_reduce", 4 * 2, 4 * 2 + 2, 4 + 2, 4 * 2 + 2);
  check("blocks.0.2.multiply", 0, 0, 0, 0);
  check("blocks.0.0.layer_scale", 0, 0, 0, 4);
  check("blocks.0.0.add", 0, 0, 0, 0);
  // 2 heads x 64 queries x 16 keys.
  check("blocks.0.1.attn.scores", 2 * 64 * 16 * 6, 0, 2 * 6 * 64 + 6 * 16 + 2 * 64 * 16, 0);
  check("blocks.0.1.attn.mix", 2 * 64 * 16 * 5, 0, 2 * 64 * 16 + 5 * 16 + 2 * 5 * 64, 0);
  check("blocks.0.1.attn.softmax", 0, 0, 0, 0);
  check("classifier", 20 * 10, 20 * 10 + 10, 20 + 10, 20 * 10 + 10);
}

// By hand: of g groups each output reads a g-th of the input channels.
TEST(OpCosts, OfGroupsAreThatMuchLess) {
  const Graph graph = lower(grouped_network());
  const std::vector<OpCost> costs = op_costs(graph);
  std::map<std::string, OpCost> cost_of;
  for (size_t i = 0; i < costs.size(); ++i) cost_of[graph.ops[i].name] = costs[i];
  // At 16 x 16 pixels after the stem, 8 x 8 after the first block.
  EXPECT_EQ(cost_of.at("blocks.0.0.conv_pw").macs.value, 16 * 16 * 32 * 16 / 2);
  EXPECT_EQ(cost_of.at("blocks.0.0.conv_pw").weight_elements, 32 * 8);
  EXPECT_EQ(cost_of.at("blocks.0.0.conv_pw").activation_elements, 16 * 16 * (16 + 32));
  EXPECT_EQ(cost_of.at("blocks.0.1.conv_pwl").macs.value, 8 * 8 * 24 * 48 / 4);
  EXPECT_EQ(cost_of.at("blocks.1.0.conv").macs.value, 4 * 4 * 32 * 9 * 24 / 8);
  EXPECT_EQ(cost_of.at("blocks.1.1.conv").macs.value, 4 * 4 * 32 * 25);
  const Graph dense = lower(without_groups(grouped_network()));
  EXPECT_LT(network_cost(graph).macs, network_cost(dense).macs);
  EXPECT_LT(network_cost(graph).parameters, network_cost(dense).parameters);
}

// torchvision publishes 25,028,904 parameters and 4.23 GMACs at 224 pixels for resnext50_32x4d. A
// chain of its bottlenecks lacks the four 1x1 convolutions of the shortcuts, and the max pool, for
// which the stem here starts from 112 pixels.
TEST(OpCosts, OfGroupsAddUpToResNeXt) {
  Architecture a{.name = "resnext", .resolution = 112};
  a.stem = {.kernel = 7, .stride = 2, .width = 64};
  a.head = {.width = 0, .features = 0};
  const int depths[] = {3, 4, 6, 3};
  double shortcut_macs = 0;
  int64_t shortcut_parameters = 0;
  for (int s = 0, before = 64, pixels = 56; s < 4; ++s) {
    const int squeezed = 128 << s, width = 256 << s, stride = s == 0 ? 1 : 2;
    auto& stage = a.stages.emplace_back();
    for (int b = 0; b < depths[s]; ++b) {
      stage.push_back(Conv{.kernel = 1, .width = squeezed});
      stage.push_back(Conv{.stride = b == 0 ? stride : 1, .width = squeezed, .groups = 32});
      stage.push_back(Conv{.kernel = 1, .width = width});
    }
    pixels /= stride;
    shortcut_macs += double(pixels) * pixels * before * width;
    shortcut_parameters += int64_t{before} * width + 2 * width;
    before = width;
  }
  const NetworkCost cost = network_cost(lower(a));
  EXPECT_EQ(cost.parameters + shortcut_parameters, 25028904);
  constexpr double kThreeQuartersOfTheStem = 0.75 * 112 * 112 * 64 * 3 * 49;
  EXPECT_NEAR((cost.macs.value + shortcut_macs + kThreeQuartersOfTheStem) / 1e9, 4.23, 0.005);
}

TEST(OpCosts, HaveTheParametersOfTheGraph) {
  std::mt19937_64 random(1);
  for (const std::string& name : built_in_spaces()) {
    const SearchSpace space = load_search_space(name);
    for (int i = 0; i < 100; ++i) {
      const Graph graph = lower(decode(space, sample(space, random)));
      EXPECT_EQ(network_cost(graph).parameters, parameter_count(graph));
    }
  }
}

TEST(Bytes, FollowTheDataType) {
  const OpCost cost{.macs = {1200}, .weight_elements = 10, .activation_elements = 50};
  EXPECT_EQ(bytes(cost, DataType::kInt8).value, 60);
  EXPECT_EQ(bytes(cost, DataType::kBf16).value, 120);
  EXPECT_EQ(bytes(cost, DataType::kFp16).value, 120);
  EXPECT_EQ(bytes(cost, DataType::kFp32).value, 240);
  EXPECT_EQ(operational_intensity(cost, DataType::kInt8).value, 20);
  EXPECT_EQ(operational_intensity(cost, DataType::kFp32).value, 5);
  EXPECT_EQ(operational_intensity(OpCost{}, DataType::kInt8).value, 0);
}

}  // namespace
}  // namespace ridgewalk
