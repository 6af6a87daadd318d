#include "roofline/latency.h"

#include <numeric>

#include "space/catalog.h"
#include "space/lowering.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

TEST(OpTime, IsTheLongerOfComputeAndMemory) {
  const OpCost cost{.macs = {1000}, .weight_elements = 30, .activation_elements = 70};
  EXPECT_EQ(op_time(cost, {0}, DataType::kInt8).value, 1000);
  EXPECT_EQ(op_time(cost, {10}, DataType::kInt8).value, 1000);  // 100 bytes: just as long
  EXPECT_EQ(op_time(cost, {31.2}, DataType::kInt8).value, 3120);
  EXPECT_EQ(op_time(cost, {31.2}, DataType::kFp32).value, 12480);
  EXPECT_EQ(op_time(cost, {2.5}, DataType::kFp32).value, 1000);
  EXPECT_EQ(op_time(OpCost{}, {500}, DataType::kInt8).value, 0);
}

TEST(OpTime, IsRoundedToThe1024thOfAMac) {
  const OpCost cost{.activation_elements = 1};
  EXPECT_EQ(op_time(cost, {0.1}, DataType::kInt8).value, 102 / 1024.);  // 102.4
  EXPECT_EQ(op_time(cost, {0.3}, DataType::kInt8).value, 307 / 1024.);  // 307.2
}

// 2x2 pixels, by hand: MACs and bytes of each op in int8.
//   stem 1x1, 1 -> 2 channels:  8 MACs,  2 + 4 + 8 = 14
//   head 1x1, 2 -> 3:          24 MACs,  6 + 8 + 12 = 26
//   features 1x1, 3 -> 4:      12 MACs, 12 + 3 + 4 = 19
//   classifier, 4 -> 5:        20 MACs, 25 + 4 + 5 = 34
TEST(Latency, IsTheSumByHand) {
  Architecture a{.name = "four ops", .resolution = 2, .channels = 1, .classes = 5};
  a.stem = {.kernel = 1, .stride = 1, .width = 2};
  a.head = {.width = 3, .features = 4};
  const Graph graph = lower(a);
  EXPECT_EQ(latency(graph, {0}).value, 8 + 24 + 12 + 20);
  EXPECT_EQ(latency(graph, {0.75}).value, 10.5 + 24 + 14.25 + 25.5);
  EXPECT_EQ(latency(graph, {10}).value, 140 + 260 + 190 + 340);
  EXPECT_EQ(latency(graph, {10}, DataType::kBf16).value, 2 * (140 + 260 + 190 + 340));
}

// The same network on 3 images, forward and backward, MACs and bytes:
//   stem       24, 2 + 3 * 12 = 38       24, 2 + 3 * 12 = 38: no gradient of the images
//   head       72, 6 + 3 * 20 = 66      144, 12 + 3 * (16 + 12) = 96
//   features   36, 12 + 3 * 7 = 33       72, 24 + 3 * (6 + 4) = 54
//   classifier 60, 25 + 3 * 9 = 52      120, 50 + 3 * (8 + 5) = 89
TEST(TrainingLatency, IsTheSumByHand) {
  Architecture a{.name = "four ops", .resolution = 2, .channels = 1, .classes = 5};
  a.stem = {.kernel = 1, .stride = 1, .width = 2};
  a.head = {.width = 3, .features = 4};
  const Graph graph = lower(a);
  EXPECT_EQ(training_latency(graph, 3, {0}, DataType::kInt8).value, 48 + 216 + 108 + 180);
  EXPECT_EQ(training_latency(graph, 3, {1}, DataType::kInt8).value, 76 + 216 + 108 + 180);
  EXPECT_EQ(training_latency(graph, 3, {2}, DataType::kInt8).value,
            152 + (132 + 192) + (66 + 108) + (104 + 178));
  EXPECT_EQ(training_latency(graph, 3, {0.5}, DataType::kFp32).value,
            training_latency(graph, 3, {2}, DataType::kInt8).value);
}

// MobileNetV4, section 3, footnote 2: ridge point 0 is MAC counting.
TEST(Latency, AtRidgePointZeroIsTheMacs) {
  for (const std::string& name : catalog_names()) {
    const Graph graph = lower(find_architecture(name));
    EXPECT_EQ(latency(graph, {0}), network_cost(graph).macs) << name;
  }
}

TEST(Latency, GrowsWithTheRidgePointAndIsExactInAnyOrder) {
  const Graph graph = lower(find_architecture("mnv4-hybrid-large"));
  Macs before;
  for (MacsPerByte point : ridge_points(0, 500)) {
    const Macs time = latency(graph, point);
    EXPECT_GE(time, before);
    before = time;
    std::vector<OpCost> costs = op_costs(graph);
    std::mt19937_64 random(1);
    std::shuffle(costs.begin(), costs.end(), random);
    Macs shuffled;
    for (const OpCost& cost : costs) shuffled += op_time(cost, point, DataType::kInt8);
    EXPECT_EQ(shuffled, time);
  }
}

// Measured in MobileNetV4's table 6; the roofline with the paper's ridge point 31.2 and one fitted
// peak of 113.7 GMAC/s is within 20 % of the Pixel 6 CPU.
TEST(Latency, PredictsThePixel6) {
  const std::vector<std::pair<std::string, double>> measured_ms = {{"mnv4-conv-small", 2.4},
                                                                   {"mnv4-conv-medium", 11.4},
                                                                   {"mnv4-hybrid-medium", 14.3},
                                                                   {"mnv4-conv-large", 59.9},
                                                                   {"mnv4-hybrid-large", 87.6}};
  for (const auto& [name, ms] : measured_ms) {
    const Seconds time = latency(lower(find_architecture(name)), {31.2}) / MacsPerSecond{113.7e9};
    EXPECT_NEAR(time.value * 1e3, ms, 0.2 * ms) << name;
  }
}

TEST(RidgePoints, AreZeroAndALogarithmicScale) {
  const std::vector<MacsPerByte> points = ridge_points(0, 500);
  ASSERT_EQ(points.size(), 101u);
  EXPECT_EQ(points[0].value, 0);
  EXPECT_DOUBLE_EQ(points[1].value, 0.1);
  EXPECT_EQ(points.back().value, 500);
  const double ratio = points[2] / points[1];
  for (size_t i = 2; i < points.size(); ++i) EXPECT_NEAR(points[i] / points[i - 1], ratio, 1e-9);
}

TEST(RidgePoints, KeepBothEnds) {
  EXPECT_EQ(ridge_points(5, 50, 3), (std::vector<MacsPerByte>{{5}, {5 * std::sqrt(10)}, {50}}));
  EXPECT_EQ(ridge_points(7, 7), (std::vector<MacsPerByte>{{7}}));
  EXPECT_EQ(ridge_points(0, 500, 2), (std::vector<MacsPerByte>{{0}, {500}}));
  for (const double high : {0.01, 0.1, 3.}) {
    const std::vector<MacsPerByte> points = ridge_points(0, high, 9);
    EXPECT_EQ(points.size(), 9u);
    EXPECT_EQ(points.back().value, high);
    EXPECT_TRUE(std::is_sorted(points.begin(), points.end()));
  }
}

TEST(RidgePoints, RefuseWhatIsNoRange) {
  EXPECT_THAT(error_of([] { ridge_points(5, 1); }), HasSubstr("such as 0:500"));
  EXPECT_THAT(error_of([] { ridge_points(-1, 1); }), HasSubstr("such as 0:500"));
  EXPECT_THAT(error_of([] { ridge_points(0, INFINITY); }), HasSubstr("such as 0:500"));
  EXPECT_THAT(error_of([] { ridge_points(NAN, 1); }), HasSubstr("such as 0:500"));
  EXPECT_THAT(error_of([] { ridge_points(0, 1, 1); }), HasSubstr("two ends"));
}

}  // namespace
}  // namespace ridgewalk
