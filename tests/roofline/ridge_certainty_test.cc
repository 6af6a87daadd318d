#include "roofline/ridge_certainty.h"

#include "roofline/statistics.h"
#include "tests/helpers.h"
#include "tests/roofline/measured_networks.h"

namespace ridgewalk {
namespace {

TEST(RidgeCertainty, OfTheAcceleratorsIsNone) {
  EXPECT_TRUE(ridge_certainty(table6("pixel6_cpu_ms"), {}, 1).is_determined);
  EXPECT_TRUE(ridge_certainty(table6("s23_cpu_ms"), {}, 1).is_determined);
  EXPECT_FALSE(ridge_certainty(table6("pixel4_hexagon_ms"), {}, 1).is_determined);
  EXPECT_FALSE(ridge_certainty(table6("pixel8_edgetpu_ms"), {}, 1).is_determined);
}

// Twenty measurements of eleven networks are eleven networks: they leave the ridge point as open as
// one measurement of each does.
TEST(RidgeCertainty, CountsNetworksNotRows) {
  EXPECT_FALSE(ridge_certainty(repeated(table6("pixel8_edgetpu_ms"), 20), {}, 0).is_determined);
  const std::vector<Measured> once = table6("pixel6_cpu_ms");
  const RidgeCertainty of_once = ridge_certainty(once, {}, 0);
  const RidgeCertainty of_many = ridge_certainty(repeated(once, 20), {}, 0);
  ASSERT_TRUE(of_once.interval && of_many.interval);
  EXPECT_NEAR(of_many.interval->low / of_once.interval->low, 1, 0.02);
  EXPECT_NEAR(of_many.interval->high / of_once.interval->high, 1, 0.02);
}

TEST(RidgeCertainty, OfFewNetworksIsNone) {
  std::vector<Measured> networks = table6("pixel6_cpu_ms");
  networks.resize(5);
  const RidgeCertainty certainty = ridge_certainty(networks, {}, 0);
  EXPECT_FALSE(certainty.interval);
  EXPECT_FALSE(certainty.is_determined);
}

// Latencies of a machine without noise: every resample gives its ridge point, and no interval
// claims that the next network would too.
TEST(RidgeCertainty, OfExactLatenciesHasNoWidthToPrint) {
  const Fit machine{.ridge_point = {30}, .seconds_per_mac = 1e-11};
  std::vector<Measured> networks = table6("pixel6_cpu_ms");
  for (Measured& network : networks) network.latency = machine.predict(network.work);
  const RidgeCertainty certainty = ridge_certainty(networks, {}, 0);
  EXPECT_TRUE(certainty.is_determined);
  EXPECT_FALSE(certainty.interval &&
               four_digits(certainty.interval->low) == four_digits(certainty.interval->high));
}

}  // namespace
}  // namespace ridgewalk
