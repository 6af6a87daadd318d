#include "roofline/latency_curve.h"

#include "roofline/latency.h"
#include "space/catalog.h"
#include "space/lowering.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr RidgeRange kSweep = {{0}, {500}};

OpCost op(double macs, int64_t bytes) {
  return {.macs = {macs}, .weight_elements = 0, .activation_elements = bytes};
}

LatencyCurve curve_of(const std::vector<OpCost>& costs) { return latency_curve(costs); }

// 160 up to ridge point 1, 100 + 60 r up to 10, 70 r beyond.
const LatencyCurve kBent = curve_of({op(100, 10), op(60, 60)});
// 400 up to ridge point 20, 20 r beyond.
const LatencyCurve kFlat = curve_of({op(400, 20)});

std::vector<LatencyCurve> random_curves(int count, uint64_t seed) {
  const SearchSpace space = load_search_space("mobile");
  std::mt19937_64 random(seed);
  std::vector<LatencyCurve> curves;
  for (int i = 0; i < count; ++i) {
    curves.push_back(latency_curve(op_costs(lower(decode(space, sample(space, random))))));
  }
  return curves;
}

std::vector<MacsPerByte> dense_points() {
  std::vector<MacsPerByte> points;
  for (int i = 0; i <= 5000; ++i) points.push_back({i / 10.});
  for (MacsPerByte point : ridge_points(0, 500, 1001)) points.push_back(point);
  std::sort(points.begin(), points.end());
  return points;
}

TEST(LatencyCurve, IsPiecewiseLinearByHand) {
  ASSERT_EQ(kBent.size(), 3u);
  EXPECT_EQ(kBent[0].macs.value, 160);
  EXPECT_EQ(kBent[1].from.value, 1);
  EXPECT_EQ(kBent[2].from.value, 10);
  EXPECT_EQ(kBent[2].bytes.value, 70);
  EXPECT_EQ(latency_at(kBent, {0}).value, 160);
  EXPECT_EQ(latency_at(kBent, {1}).value, 160);
  EXPECT_EQ(latency_at(kBent, {4}).value, 340);
  EXPECT_EQ(latency_at(kBent, {10}).value, 700);
  EXPECT_EQ(latency_at(kBent, {500}).value, 35000);
}

TEST(LatencyCurve, WiderDataMovesTheBreaks) {
  const LatencyCurve curve = latency_curve(std::vector{op(100, 10), op(60, 60)}, DataType::kFp32);
  EXPECT_EQ(curve[1].from.value, 0.25);
  EXPECT_EQ(curve[2].from.value, 2.5);
  EXPECT_EQ(latency_at(curve, {10}).value, 2800);
}

TEST(LatencyCurve, OfOpsOfOneIntensityHasOneBreak) {
  const LatencyCurve curve = curve_of({op(100, 10), op(50, 5), OpCost{}});
  ASSERT_EQ(curve.size(), 2u);
  EXPECT_EQ(latency_at(curve, {20}).value, 300);
}

TEST(LatencyCurve, IsTheSumOverTheOpsForRandomArchitectures) {
  const SearchSpace space = load_search_space("mobile");
  std::mt19937_64 random(1);
  for (int i = 0; i < 30; ++i) {
    const std::vector<OpCost> costs = op_costs(lower(decode(space, sample(space, random))));
    const LatencyCurve curve = latency_curve(costs);
    EXPECT_TRUE(std::is_sorted(curve.begin(), curve.end(), [](const auto& a, const auto& b) {
      return a.from < b.from || (a.from == b.from && a.bytes < b.bytes);
    }));
    for (size_t k = 1; k < curve.size(); ++k) {
      EXPECT_LT(curve[k - 1].bytes, curve[k].bytes) << "convex: the slope grows";
    }
    for (int k = 0; k < 200; ++k) {
      const MacsPerByte point{k < 100 ? k / 10. : k * 2.5};
      double sum = 0;
      for (const OpCost& cost : costs) {
        sum += std::max(cost.macs.value, point.value * bytes(cost, DataType::kInt8).value);
      }
      EXPECT_NEAR(latency_at(curve, point).value, sum, 1e-12 * sum);
      EXPECT_NEAR(latency(costs, point).value, sum, double(costs.size()) / 2048);
    }
  }
}

TEST(Leads, ChangeAtTheRootByHand) {
  EXPECT_THAT(leads(kBent, kFlat, kSweep), ElementsAre(Lead{{0}, -1}, Lead{{5}, 1}));
  EXPECT_THAT(leads(kFlat, kBent, kSweep), ElementsAre(Lead{{0}, 1}, Lead{{5}, -1}));
  EXPECT_THAT(swaps(kBent, kFlat, kSweep), ElementsAre(Lead{{5}, 1}));
  EXPECT_THAT(swaps(kBent, kFlat, {{5.5}, {500}}), IsEmpty());
}

TEST(Leads, AStretchWhereBothAreAlike) {
  const LatencyCurve steep = curve_of({op(100, 20)});
  const LatencyCurve gentle = curve_of({op(100, 10)});
  EXPECT_THAT(leads(steep, gentle, kSweep), ElementsAre(Lead{{0}, 0}, Lead{{5}, 1}));
  EXPECT_THAT(swaps(steep, gentle, kSweep), IsEmpty());
  EXPECT_THAT(leads(steep, steep, kSweep), ElementsAre(Lead{{0}, 0}));
}

// Both are 90 + 10 r from 1.5 to 10; the first is faster by 5 before that, the second after it.
TEST(Leads, ASwapAcrossAStretchWhereBothAreAlike) {
  const LatencyCurve first = curve_of({op(10, 10), op(90, 9)});
  const LatencyCurve second = curve_of({op(15, 10), op(90, 6)});
  EXPECT_THAT(leads(first, second, kSweep),
              ElementsAre(Lead{{0}, -1}, Lead{{1.5}, 0}, Lead{{10}, 1}));
  EXPECT_THAT(swaps(first, second, kSweep), ElementsAre(Lead{{10}, 1}));
}

// 200 up to ridge point 10 and 20 r beyond, against 100 + 10 r: they meet only at 10.
TEST(Leads, ATouchIsNoSwap) {
  const LatencyCurve corner = curve_of({op(200, 20)});
  const LatencyCurve line = curve_of({op(10, 10), op(100, 1)});
  EXPECT_EQ(latency_at(corner, {10}), latency_at(line, {10}));
  EXPECT_THAT(leads(corner, line, kSweep), ElementsAre(Lead{{0}, 1}));
  EXPECT_THAT(swaps(line, corner, kSweep), IsEmpty());
}

// Two networks may swap more than once: the small ops of one move less, and the big ops of the
// other.
TEST(Leads, SwapThereAndBack) {
  const LatencyCurve medium =
      latency_curve(op_costs(lower(find_architecture("mnv4-hybrid-medium"))));
  const LatencyCurve v1 = latency_curve(op_costs(lower(find_architecture("mobilenet-v1-150"))));
  const std::vector<Lead> found = swaps(medium, v1, kSweep);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_NEAR(found[0].from.value, 11.127, 1e-3);
  EXPECT_NEAR(found[1].from.value, 35.706, 1e-3);
}

TEST(Leads, AgreeWithDenseSamplingOfRandomArchitectures) {
  const std::vector<LatencyCurve> curves = random_curves(24, 2);
  int swapped = 0;
  for (size_t a = 0; a < curves.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      const std::vector<Lead> list = leads(curves[a], curves[b], kSweep);
      for (MacsPerByte point : dense_points()) {
        const Macs time = latency_at(curves[a], point);
        const Macs difference = time - latency_at(curves[b], point);
        if (std::abs(difference.value) < 1e-9 * time.value) continue;
        const auto next = std::find_if(list.begin(), list.end(),
                                       [&](const Lead& lead) { return lead.from > point; });
        EXPECT_EQ((next - 1)->faster, difference.value > 0 ? 1 : -1) << point.value;
      }
      for (const Lead& swap : swaps(curves[a], curves[b], kSweep)) {
        const Macs time = latency_at(curves[a], swap.from);
        EXPECT_NEAR(time.value, latency_at(curves[b], swap.from).value, 1e-12 * time.value);
        ++swapped;
      }
    }
  }
  EXPECT_GT(swapped, 10);
}

TEST(ParetoFront, ByHand) {
  EXPECT_THAT(pareto_front(std::vector<RatedCurve>{{kBent, 0.7}, {kFlat, 0.8}}, kSweep),
              ElementsAre(ElementsAre(RidgeRange{{0}, {5}}), ElementsAre(kSweep)));
  EXPECT_THAT(pareto_front(std::vector<RatedCurve>{{kBent, 0.8}, {kFlat, 0.7}}, kSweep),
              ElementsAre(ElementsAre(kSweep), ElementsAre(RidgeRange{{5}, {500}})));
  EXPECT_THAT(pareto_front(std::vector<RatedCurve>{{kBent, 0.7}, {kFlat, 0.7}}, kSweep),
              ElementsAre(ElementsAre(RidgeRange{{0}, {5}}), ElementsAre(RidgeRange{{5}, {500}})));
}

TEST(ParetoFront, KeepsTwinsAndDropsTheLessAccurateOfThem) {
  EXPECT_THAT(pareto_front(std::vector<RatedCurve>{{kBent, 0.7}, {kBent, 0.7}}, kSweep),
              ElementsAre(ElementsAre(kSweep), ElementsAre(kSweep)));
  EXPECT_THAT(pareto_front(std::vector<RatedCurve>{{kBent, 0.7}, {kBent, 0.8}}, kSweep),
              ElementsAre(IsEmpty(), ElementsAre(kSweep)));
  EXPECT_THAT(pareto_front({}, kSweep), IsEmpty());
}

TEST(ParetoFront, AgreesWithDenseSamplingOfRandomArchitectures) {
  std::vector<RatedCurve> networks;
  for (const LatencyCurve& curve : random_curves(24, 3)) {
    networks.push_back({curve, 0.7 + double(networks.size() % 5) / 100});
  }
  networks.push_back(networks[0]);
  const auto fronts = pareto_front(networks, kSweep);
  int partly = 0;
  for (size_t i = 0; i < networks.size(); ++i) {
    for (MacsPerByte point : dense_points()) {
      const Macs mine = latency_at(networks[i].latency, point);
      bool near_an_end = false;
      bool expected = true;
      for (const RatedCurve& other : networks) {
        const Macs theirs = latency_at(other.latency, point);
        const bool same = &other == &networks[i] || theirs == mine;
        near_an_end |= !same && std::abs(theirs / mine - 1) < 1e-9;
        expected &= !(other.accuracy >= networks[i].accuracy && theirs <= mine &&
                      (other.accuracy > networks[i].accuracy || theirs < mine));
      }
      if (near_an_end) continue;
      const bool on_front = std::any_of(fronts[i].begin(), fronts[i].end(), [&](RidgeRange range) {
        return range.low <= point && point <= range.high;
      });
      EXPECT_EQ(on_front, expected) << i << " at " << point.value;
    }
    partly += !fronts[i].empty() && fronts[i] != std::vector<RidgeRange>{kSweep};
  }
  EXPECT_GT(partly, 0);
}

}  // namespace
}  // namespace ridgewalk
