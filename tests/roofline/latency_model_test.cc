#include "roofline/latency_model.h"

#include "roofline/latency.h"
#include "space/catalog.h"
#include "space/lowering.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

Graph conv_small() { return lower(find_architecture("mnv4-conv-small")); }

LatencyModel pixel6() { return latency_model(load_profile("pixel6-cpu")); }

TEST(Predict, IsThePlainRooflineWithoutTerms) {
  const Prediction prediction = predict(conv_small(), pixel6());
  EXPECT_NEAR(prediction.roofline.value, latency(conv_small(), {31.2}).value / 113.7e9, 1e-9);
  EXPECT_EQ(prediction.total(), prediction.roofline);
  EXPECT_GE(prediction.upper, prediction.roofline);
  EXPECT_LE(prediction.upper.value, 2 * prediction.roofline.value);
}

TEST(Predict, ReportsEachTermApart) {
  LatencyModel model = pixel6();
  model.depthwise_cost = 5;
  model.op_overhead = {1e-5};
  model.floor = {2e-3};
  const Graph graph = conv_small();
  const Prediction prediction = predict(graph, model);
  int ops = 0;
  double dearer = 0;
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    const OpCost cost = op_costs(graph)[i];
    ops += cost.macs.value > 0;
    if (graph.ops[i].kind != OpKind::kDepthwise) continue;
    const double moved = 31.2 * bytes(cost, DataType::kInt8).value;
    dearer += std::max(5 * cost.macs.value, moved) - std::max(cost.macs.value, moved);
  }
  EXPECT_GT(dearer, 0);
  EXPECT_NEAR(prediction.depthwise.value, dearer / 113.7e9, 1e-12);
  EXPECT_NEAR(prediction.op_overhead.value, ops * 1e-5, 1e-12);
  EXPECT_EQ(prediction.floor.value, 2e-3);
  EXPECT_EQ(prediction.cache.value, 0);
}

// With a cache that holds everything, at the bandwidth of ridge point 1, that ridge point counts.
TEST(Predict, MovesSmallTensorsAtTheCachesBandwidth) {
  LatencyModel model = pixel6();
  model.cache = {1e9};
  model.cache_bandwidth = {113.7e9};
  EXPECT_NEAR(predict(conv_small(), model).total().value,
              latency(conv_small(), {1}).value / 113.7e9, 1e-9);
  model.cache = {1};
  EXPECT_NEAR(predict(conv_small(), model).cache.value, 0, 1e-12);
  model.convention = ByteConvention::kAten;
  EXPECT_THAT(error_of([&] { predict(conv_small(), model); }),
              HasSubstr("only for the byte convention mnv4"));
}

TEST(LatencyModelOf, TakesTheDatasheetForOtherDataTypes) {
  const LatencyModel half = latency_model(load_profile("pixel6-cpu"), DataType::kFp16);
  EXPECT_NEAR(half.ridge_point.value, 89.6 / 51.2, 1e-12);
  EXPECT_NEAR(half.peak.value, 89.6e9, 1);
  EXPECT_THAT(error_of([] { latency_model(load_profile("pixel6-cpu"), DataType::kBf16); }),
              HasSubstr("no ridge point for bf16; it has int8, fp16, fp32"));
  // An effective ridge point without an effective peak goes with the datasheet's.
  const LatencyModel dsp = latency_model(load_profile("pixel4-dsp"));
  EXPECT_EQ(dsp.ridge_point.value, 347.3);
  EXPECT_EQ(dsp.peak.value, 614e9);
  EXPECT_THAT(error_of([] { latency_model(load_profile("pixel8-edgetpu")); }),
              HasSubstr("has no peak for int8"));
}

// One 3x3 convolution, 3 to 8 channels, 10 x 10 in, 5 x 5 out, by hand.
TEST(ByteConventions, CountAConvolutionAsTheySay) {
  Architecture a{.name = "one", .resolution = 10, .classes = 4};
  a.stem = {.kernel = 3, .stride = 2, .width = 8};
  a.head = {.width = 0, .features = 0};
  const Graph graph = lower(a);  // input, conv, norm, activation, pool, linear
  const int64_t w = 3 * 9 * 8, i = 300, o = 200, fc = 8 * 4 + 4;
  const auto total = [&](ByteConvention convention) {
    const NetworkCost cost = network_cost(graph, convention);
    return cost.weight_elements + cost.activation_elements;
  };
  EXPECT_EQ(total(ByteConvention::kMnv4), w + i + o + fc + 8 + 4);
  EXPECT_EQ(total(ByteConvention::kMnv4Adds), w + i + o + (o + 8) + fc + 8 + 4);
  EXPECT_EQ(total(ByteConvention::kWeightsOut), w + o + 8 + fc + 4);
  EXPECT_EQ(total(ByteConvention::kOutOnly), o + 4);
  EXPECT_EQ(total(ByteConvention::kAten),
            (w + i + o) + (4 * 8 + 2 * o) + 2 * o + (o + 8) + (fc + 8 + 4));
}

// A residual block moves its input once and its output once; what lies between stays on chip.
TEST(ByteConventions, KeepABlockOnChip) {
  Architecture a{.name = "one", .resolution = 8, .classes = 4};
  a.stem = {.kernel = 1, .stride = 1, .width = 8};
  a.stages = {{Uib{.kernel1 = 3, .kernel2 = 3, .expanded = 32, .width = 8, .stride = 1}}};
  a.head = {.width = 0, .features = 0};
  const Graph graph = lower(a);
  const std::vector<OpCost> costs = op_costs(graph, ByteConvention::kBlockFused);
  int64_t moved = 0;
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    if (graph.ops[i].name.starts_with("blocks.")) moved += costs[i].activation_elements;
  }
  EXPECT_EQ(moved, 8 * 64 + 8 * 64);
}

}  // namespace
}  // namespace ridgewalk
