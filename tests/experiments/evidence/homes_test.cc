#include "experiments/evidence/homes.h"

#include <gtest/gtest.h>

#include "roofline/cost.h"
#include "space/lowering.h"
#include "tests/experiments/evidence/networks.h"

namespace ridgewalk {
namespace {

NetworkRecord found(const std::string& home, Way way, uint64_t seed,
                    const std::string& architecture, double test) {
  NetworkRecord network = trained_network(architecture, test, {test});
  network.origin = {.way = way, .seed = seed, .home = home};
  return network;
}

// Latency at ridge point 0 is the MACs, so the ratio there is theirs.
TEST(Homes, PricesTheNetworksOfEveryHomeAtEveryRidgePoint) {
  const std::string medium = "mnv4-conv-medium", small = "mnv4-conv-small";
  const Architecture reference = find_architecture(small);
  const Pricing pricing{.reference = reference, .places = places_of({}, {{500}, {0}})};
  const std::vector<NetworkRecord> networks{
      found("low", Way::kOneStage, 1, medium, 0.7), found("low", Way::kEvolution, 1, medium, 0.9),
      found("low", Way::kOneStage, 2, small, 0.5), found("high", Way::kOneStage, 1, small, 0.4)};
  const std::vector<HomeSummary> homes = summarize_homes(networks, pricing);
  ASSERT_EQ(homes.size(), 3u);  // one per way of a home
  EXPECT_EQ(homes[0].networks, 2u);
  EXPECT_NEAR(homes[0].test_top1.mean, 0.6, 1e-12);
  const double ratio = network_cost(lower(find_architecture(medium))).macs.value /
                       network_cost(lower(reference)).macs.value;
  EXPECT_NEAR(homes[0].at[0].mean, (ratio + 1) / 2, 1e-9);
  EXPECT_EQ(homes[1].way, Way::kEvolution);
  EXPECT_NEAR(homes[1].at[0].mean, ratio, 1e-9);
  EXPECT_EQ(homes[2].home, "high");
  EXPECT_NEAR(homes[2].worst.mean, 1, 1e-12);  // the reference itself

  const Json rows = priced_json(networks, pricing);
  EXPECT_NEAR(rows[0]["ridge_0"].get<double>(), ratio, 1e-9);
  EXPECT_EQ(rows[3]["ridge_500"], 1.0);
  const Json latency = homes_json(homes, pricing)[0]["relative_latency"];
  EXPECT_EQ(latency[1]["ridge_point"], 500);
  EXPECT_EQ(latency[1]["mean"], homes[0].at[1].mean);
}

// fp32 moves four times the bytes: ridge point 20.9 is 83.6 on the axis of int8. A floor has no
// place on it.
TEST(Homes, PricesDevicesByAllThatTheyAre) {
  const LatencyModel desktop{.ridge_point = {20.9}, .peak = {162e9}, .data_type = DataType::kFp32};
  LatencyModel board = desktop;
  board.floor = {1};
  const std::vector<Target> targets{{.name = "desktop", .models = {desktop}, .latency = {{1}}},
                                    {.name = "board", .models = {board}, .latency = {{1}}}};
  const std::vector<Place> places = places_of(targets, {{500}});
  ASSERT_EQ(places.size(), 3u);
  EXPECT_EQ(places[0].model.ridge_point.value, 83.6);
  EXPECT_EQ(places[2].device, "board");
  const Architecture reference = find_architecture("mnv4-conv-small");
  const NetworkRecord medium = found("low", Way::kOneStage, 1, "mnv4-conv-medium", 0.7);
  const Json row = priced_json({medium}, {.reference = reference, .places = places})[0];
  EXPECT_GT(row["ridge_83.6"].get<double>(), 2);
  EXPECT_LT(row["board"].get<double>(), 1.02);  // a second, and some ten milliseconds
}

}  // namespace
}  // namespace ridgewalk
