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
  const Pricing pricing{.reference = reference, .ridge_points = {{0}, {500}}};
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

}  // namespace
}  // namespace ridgewalk
