#include "roofline/memory.h"

#include "roofline/cost_table.h"
#include "space/catalog.h"
#include "space/fold.h"
#include "space/inference_steps.h"
#include "space/lowering.h"
#include "tests/helpers.h"
#include "tests/roofline/enumeration.h"

namespace ridgewalk {
namespace {

using testing::ElementsAre;

// A residual block on 16 channels of 8 x 8 pixels, counted by hand.
Graph residual_block() {
  const auto conv = [](const char* name, int input, int channels) {
    return Op{.kind = OpKind::kConv,
              .name = name,
              .inputs = {input},
              .output = {channels, 8, 8},
              .kernel = 3};
  };
  return {.name = "residual",
          .ops = {{.kind = OpKind::kInput, .name = "input", .output = {3, 8, 8}},
                  conv("stem", 0, 16),
                  conv("expand", 1, 32),
                  conv("project", 2, 16),
                  {.kind = OpKind::kAdd, .name = "add", .inputs = {3, 1}, .output = {16, 8, 8}},
                  {.kind = OpKind::kPool, .name = "pool", .inputs = {4}, .output = {16, 1, 1}},
                  {.kind = OpKind::kLinear,
                   .name = "classifier",
                   .inputs = {5},
                   .output = {10, 1, 1},
                   .bias = true}}};
}

std::vector<double> memory_of(const Graph& graph, DataType type) {
  std::vector<double> bytes;
  for (const Bytes& one : activation_memory(graph, {type})) bytes.push_back(one.value);
  return bytes;
}

// The image 192, stem 1024, expansion 2048; the projection is added to the stem's output in place.
TEST(ActivationMemory, IsWhatLivesMeanwhile) {
  EXPECT_THAT(
      memory_of(residual_block(), DataType::kInt8),
      ElementsAre(192, 192 + 1024, 1024 + 2048, 1024 + 2048, 1024 + 2048, 1024 + 16, 16 + 10));
  // Logits of bf16 are fp32.
  EXPECT_EQ(memory_of(residual_block(), DataType::kBf16).back(), 2 * 16 + 4 * 10);
  EXPECT_EQ(peak_memory(residual_block(), {DataType::kFp32}).value, 4 * 3072);
}

// The stem's output is read again after the add: the sum needs a place of its own.
TEST(ActivationMemory, KeepsWhatIsReadLater) {
  Graph graph = residual_block();
  Op second = graph.ops[4];
  second.name = "again", second.inputs = {4, 1};
  graph.ops[5].inputs = {5}, graph.ops[6].inputs = {6};
  graph.ops.insert(graph.ops.begin() + 5, second);
  EXPECT_THAT(memory_of(graph, DataType::kInt8),
              ElementsAre(192, 1216, 3072, 1024 + 2048 + 1024, 3 * 1024, 3 * 1024, 1040, 26));
}

// Of two images; weights do not count.
TEST(ActivationMemory, OfABatchIsThatOfItsImages) {
  EXPECT_EQ(peak_memory(residual_block(), {DataType::kInt8}, 2).value, 2 * 3072);
}

// By hand, in bytes of int8: 64 x 64 positions and 8 heads have 2^27 scores, of which 2^24 are held
// at once, in fp32, and as many bytes of their softmax; beside them the query, the key, the value,
// the sum of the weighted values, and the skip.
TEST(ActivationMemory, OfAttentionIsThatOfItsTiles) {
  Architecture architecture{.name = "tiled", .resolution = 64, .classes = 10};
  architecture.stem = {.stride = 1, .width = 16};
  architecture.stages = {{MobileMqa{.heads = 8, .key_dim = 16, .value_dim = 16}}};
  constexpr double kPositions = 64 * 64;
  EXPECT_EQ(peak_memory(lower(architecture), {DataType::kInt8}).value,
            (4 + 1) * 0x1p24 + kPositions * (8 * 16 + 16 + 16 + 8 * 16 + 16));
}

// By hand: every output is held until the end, of five levels 9 anchors with 91 scores and 4
// coordinates each, and the last convolution reads 256 channels of one position.
TEST(ActivationMemory, OfADetectorHoldsItsOutputs) {
  Architecture architecture = find_architecture("mnv4-conv-medium-retinanet");
  architecture.resolution = 128;
  const std::vector<double> memory = memory_of(lower(architecture), DataType::kInt8);
  const double positions = 16 * 16 + 8 * 8 + 4 * 4 + 2 * 2 + 1;
  EXPECT_EQ(memory.back(), positions * 9 * (91 + 4) + 256);
}

// 16 x 3 x 9 + 32 x 16 x 9 + 16 x 32 x 9 + 10 x 16 weights, 10 biases of 4 bytes.
TEST(WeightMemory, HasBiasesOfFourBytes) {
  EXPECT_EQ(weight_memory(residual_block(), {DataType::kInt8}).value, 432 + 4608 + 4608 + 160 + 40);
  EXPECT_EQ(weight_memory(residual_block(), {DataType::kBf16}).value,
            2 * (432 + 4608 + 4608 + 160) + 40);
}

struct OnStm32 {
  const char* network;
  int resolution, classes;
  double ram_kib, weights_kib;
};

// STMicroelectronics' model zoo (experiments/measurements/stm32.csv): what STM32Cube.AI 10.0.0 says
// of weights and activations of int8 networks on an STM32H7. Its activations have buffers of its
// kernels too, and some outputs overwrite their inputs row by row.
TEST(Memory, IsNearWhatAToolForMicrocontrollersAllocates) {
  const OnStm32 published[] = {{"mobilenet-v1@0.25", 224, 1000, 272.96, 467.33},
                               {"mobilenet-v1@0.5", 224, 1000, 431.07, 1314},
                               {"mobilenet-v1", 224, 1000, 1331.13, 4157.09},
                               {"mobilenet-v2@0.35", 128, 1000, 237.32, 1654.5},
                               {"mobilenet-v2@0.35", 224, 1000, 832.64, 1654.5},
                               {"mobilenet-v2", 224, 1000, 1727.02, 3458.97},
                               {"mobilenet-v2@1.4", 224, 1000, 2332.2, 6015.34}};
  for (const OnStm32& one : published) {
    Architecture architecture = find_architecture(one.network);
    architecture.resolution = one.resolution, architecture.classes = one.classes;
    const Graph graph = lower(architecture);
    const double ram = peak_memory(graph, {DataType::kInt8}).value / 1024 / one.ram_kib;
    const double weights = weight_memory(graph, {DataType::kInt8}).value / 1024 / one.weights_kib;
    EXPECT_NEAR(weights, 1, 0.002) << one.network;
    EXPECT_GT(ram, 0.85) << one.network;
    EXPECT_LT(ram, 1.37) << one.network;
  }
}

std::vector<LatencyModel> resource_models() {
  std::vector<LatencyModel> models;
  for (Resource resource : {Resource::kPeakMemory, Resource::kWeights, Resource::kParameters,
                            Resource::kMacs, Resource::kPeakMemory}) {
    models.push_back(
        resource_model(resource, models.size() < 4 ? DataType::kInt8 : DataType::kBf16));
  }
  models.push_back(energy_model(load_profile("energy-45nm")));
  for (int batch : {4, 4096}) {  // of many images attention is computed in tiles
    models.push_back(resource_model(Resource::kPeakMemory, DataType::kBf16));
    models.back().batch = batch;
  }
  models.push_back(energy_model(load_profile("energy-45nm")));
  models.back().batch = 4;
  models.push_back({.ridge_point = {31.2}});
  models.push_back(latency_model(load_profile("epyc-zen5-1-thread")));
  return models;
}

void expect_table_equals_graph(const SearchSpace& space, const std::vector<LatencyModel>& models,
                               int members) {
  const CostTable table(space, models);
  const std::vector<CostTable::Range> reachable = table.reachable();
  for (size_t m = 0; m < models.size(); ++m) {
    const Macs least = prices(lower(decode(space, reachable[m].least)), models)[m];
    ASSERT_GE(least, reachable[m].lowest);
    if (!models[m].laws.empty()) continue;  // a bound
    ASSERT_NEAR(least.value, reachable[m].lowest.value, 1e-12 * least.value);
  }
  std::mt19937_64 random(51);
  for (int i = 0; i < members; ++i) {
    const Decisions decisions = sample(space, random);
    const std::vector<Macs> by_table = table.price(decisions);
    const std::vector<Macs> by_graph = prices(lower(decode(space, decisions)), models);
    for (size_t m = 0; m < models.size(); ++m) {
      ASSERT_EQ(by_table[m], by_graph[m]) << space.name << " " << to_string(models[m].resource);
      ASSERT_LE(reachable[m].lowest, by_table[m]);
      ASSERT_GE(reachable[m].highest, by_table[m]);
    }
  }
}

// The peak is the largest of the parts' peaks: between blocks only their one value lies in memory.
TEST(Resources, OfATableAreThoseOfTheGraphForThousandsOfNetworks) {
  for (const std::string& name : built_in_spaces()) {
    expect_table_equals_graph(load_search_space(name), resource_models(),
                              name == "mobile" ? 500 : 2000);
    if (testing::Test::HasFatalFailure()) return;
  }
  expect_table_equals_graph(tiny_space(), resource_models(), 2000);
  expect_table_equals_graph(tiny_space(), {resource_models()[0]}, 2000);
}

// By hand: images have their own activations, the largest at the stem, and share the weights.
TEST(Resources, OfABatchAreThoseOfItsImages) {
  const Graph graph = lower(find_architecture("mnv4-conv-small"));
  LatencyModel memory = resource_model(Resource::kPeakMemory, DataType::kInt8),
               energy = energy_model(load_profile("energy-45nm"));
  EXPECT_EQ(price(graph, memory).value, 3 * 224 * 224 + 32 * 112 * 112);
  memory.batch = energy.batch = 4;
  EXPECT_EQ(price(graph, memory).value, 4 * (3 * 224 * 224 + 32 * 112 * 112));
  const NetworkCost cost = network_cost(graph);
  EXPECT_NEAR(
      price(graph, energy).value,
      0.23 * 4 * 186005568 + 162.5 * double(cost.weight_elements + 4 * cost.activation_elements),
      1);
}

TEST(Resources, ReachWhatEnumerationFinds) {
  const SearchSpace space = tiny_space();
  std::vector<LatencyModel> models = resource_models();
  models.pop_back();  // by laws the range is a bound
  expect_enumerated_reach(space, models);
}

TEST(Resources, ParametersAndMacsAreThePublishedOnes) {
  const Graph graph = lower(find_architecture("mnv4-conv-small"));
  EXPECT_EQ(price(graph, resource_model(Resource::kParameters, DataType::kInt8)).value, 3774024);
  EXPECT_EQ(price(graph, resource_model(Resource::kMacs, DataType::kFp32)).value, 186005568);
}

// By hand: 0.23 pJ a MAC and 162.5 a byte of weights, inputs and outputs.
TEST(Resources, EnergyIsThatOfMacsAndBytes) {
  const Graph graph = lower(find_architecture("mnv4-conv-small"));
  const NetworkCost cost = network_cost(graph);
  EXPECT_NEAR(price(graph, energy_model(load_profile("energy-45nm"))).value,
              0.23 * 186005568 + 162.5 * double(cost.weight_elements + cost.activation_elements),
              1);
  EXPECT_THAT(error_of([] { energy_model(load_profile("pixel6-cpu")); }),
              testing::HasSubstr("does not know the energy"));
}

}  // namespace
}  // namespace ridgewalk
