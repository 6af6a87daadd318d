// What figures 2 and 3 of MobileNetV4 (arXiv 2404.10518v2) say, from the numbers that the report
// draws: MobileNetV1 is slow at low ridge points, MobileNetV3-Large at high ones, MobileNetV4 never
// at both.
#include "roofline/latency.h"
#include "roofline/latency_curve.h"
#include "space/catalog.h"
#include "space/lowering.h"
#include "space/published.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

constexpr RidgeRange kSweep = {{0}, {500}};

LatencyCurve curve_of(const std::string& name, int resolution = 0) {
  Architecture architecture = find_architecture(name);
  if (resolution > 0) architecture.resolution = resolution;
  return latency_curve(op_costs(lower(architecture)));
}

// The networks of the figures have about the same number of parameters (8.7, 9.8 and 9.7 M); here
// they also get the same number of pixels.
TEST(PaperFigures, OfNetworksOfOneSizeMobileNetV4IsNeverTheSlowest) {
  const LatencyCurve v1 = curve_of("mobilenet-v1-150", 224);
  const LatencyCurve v3 = curve_of("mobilenet-v3-large-150", 224);
  const LatencyCurve v4 = curve_of("mnv4-conv-medium", 224);
  const auto slowdown = [&](const LatencyCurve& curve, double ridge_point) {
    return latency_at(curve, {ridge_point}) / latency_at(v4, {ridge_point});
  };
  for (double low : {0., 1., 5., 10.}) {
    EXPECT_GT(slowdown(v1, low), 1.4) << low;
    EXPECT_LT(slowdown(v3, low), 0.8) << low;
  }
  for (double high : {150., 347.3, 433.8, 500.}) EXPECT_GT(slowdown(v3, high), 1.08) << high;
  EXPECT_GT(slowdown(v1, 0), slowdown(v1, 500) + 0.2);
  EXPECT_EQ(swaps(v3, v4, kSweep).size(), 1u);
  for (MacsPerByte point : ridge_points(0, 500, 501)) {
    EXPECT_GT(std::max(slowdown(v1, point.value), slowdown(v3, point.value)), 1) << point.value;
  }
}

// Latency relative to MobileNetV4 of the same accuracy: between MNv4-Conv-S and MNv4-Conv-M the
// logarithm of latency is taken to be linear in the accuracy.
TEST(PaperFigures, AtEqualAccuracyMobileNetV1IsSlowestLowAndMobileNetV3High) {
  const LatencyCurve small = curve_of("mnv4-conv-small");
  const LatencyCurve medium = curve_of("mnv4-conv-medium");
  const auto top1 = [](const std::string& name) { return published_accuracy(name)->top1; };
  const auto slowdown = [&](const std::string& name, double ridge_point) {
    const double share = (top1(name) - top1("mnv4-conv-small")) /
                         (top1("mnv4-conv-medium") - top1("mnv4-conv-small"));
    const Macs low = latency_at(small, {ridge_point});
    const Macs high = latency_at(medium, {ridge_point});
    return latency_at(curve_of(name), {ridge_point}).value /
           (low.value * std::pow(high / low, share));
  };
  EXPECT_NEAR(slowdown("mobilenet-v1", 0), 2.89, 0.01);
  EXPECT_NEAR(slowdown("mobilenet-v1", 500), 1.78, 0.01);
  EXPECT_NEAR(slowdown("mobilenet-v3-large", 0), 0.71, 0.01);
  EXPECT_NEAR(slowdown("mobilenet-v3-large", 500), 1.34, 0.01);
}

TEST(PaperFigures, MobileNetV4IsOnTheFrontOfTheCatalogueAtEveryRidgePoint) {
  std::vector<std::string> rated_names;
  std::vector<RatedCurve> rated;
  for (const std::string& name : catalog_names()) {
    const auto accuracy = published_accuracy(name);
    if (!accuracy) continue;
    rated_names.push_back(name);
    rated.push_back({curve_of(name), accuracy->top1});
  }
  const auto fronts = pareto_front(rated, kSweep);
  for (size_t i = 0; i < rated.size(); ++i) {
    const std::string& name = rated_names[i];
    if (name.rfind("mnv4", 0) == 0 && name.find("050") == std::string::npos) {
      EXPECT_THAT(fronts[i], testing::ElementsAre(kSweep)) << name;
    }
    if (name == "mobilenet-v1" || name == "mobilenet-v2") {
      EXPECT_THAT(fronts[i], testing::IsEmpty()) << name;
    }
  }
}

// Figure 3: MobileNetV4's first convolutions cost where MACs do, its last layers where bytes do.
TEST(PaperFigures, MobileNetV4PaysForItsStemOrForItsHead) {
  const Graph graph = lower(find_architecture("mnv4-conv-medium"));
  const std::vector<OpCost> costs = op_costs(graph);
  const auto share = [&](const std::vector<std::string>& prefixes, double ridge_point) {
    Macs sum;
    for (size_t i = 0; i < costs.size(); ++i) {
      for (const std::string& prefix : prefixes) {
        if (graph.ops[i].name.rfind(prefix, 0) == 0) {
          sum += op_time(costs[i], {ridge_point}, DataType::kInt8);
        }
      }
    }
    return sum / latency(costs, {ridge_point});
  };
  const std::vector<std::string> first = {"conv_stem", "blocks.0"};
  const std::vector<std::string> last = {"conv_head", "classifier"};
  EXPECT_GT(share(first, 0), 0.15);
  EXPECT_LT(share(last, 0), 0.01);
  EXPECT_LT(share(first, 500), 0.11);
  EXPECT_GT(share(last, 500), 0.09);
  for (MacsPerByte point : ridge_points(0, 500)) {
    EXPECT_FALSE(share(first, point.value) > 0.15 && share(last, point.value) > 0.09)
        << point.value;
  }
}

}  // namespace
}  // namespace ridgewalk
