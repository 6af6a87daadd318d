#include "roofline/fit.h"

#include <random>

#include "tests/helpers.h"
#include "tests/roofline/measured_networks.h"

namespace ridgewalk {
namespace {

// MobileNetV4, table 16: 31.2 and 39.7. An independent fit to the same networks, by least squares
// of logarithms, gives 29.2 and 32.9.
TEST(Fit, FindsThePapersRidgePointsOnCpus) {
  const double pixel6 = fit(table6("pixel6_cpu_ms"), {}).ridge_point.value;
  EXPECT_NEAR(pixel6, 31.2, 3.12);
  EXPECT_NEAR(pixel6, 29.2, 1);
  const double s23 = fit(table6("s23_cpu_ms"), {}).ridge_point.value;
  EXPECT_NEAR(s23, 39.7, 7.94);
  EXPECT_NEAR(s23, 32.9, 1);
}

TEST(Fit, PredictsThePixel6WithinTwentyPercentFromOneConstant) {
  const std::vector<Measured> networks = table6("pixel6_cpu_ms");
  const Fit fitted = fit(networks, {}, MacsPerByte{31.2});
  EXPECT_EQ(fitted.ridge_point.value, 31.2);
  for (const Measured& network : networks) {
    EXPECT_NEAR(fitted.predict(network.work) / network.latency, 1, 0.2) << network.work.name;
  }
}

// The EdgeTPU's smallest networks all take 0.7 ms: a floor explains them, a roofline cannot.
TEST(Fit, FindsTheFloorOfTheEdgeTpu) {
  const std::vector<Measured> networks = table6("pixel8_edgetpu_ms");
  const auto mean_error = [&](const FitTerms& terms) {
    const Fit fitted = fit(networks, terms);
    double sum = 0;
    for (const Measured& network : networks) {
      sum += std::abs(fitted.predict(network.work) / network.latency - 1);
    }
    return sum / double(networks.size());
  };
  EXPECT_LT(mean_error({.floor = true}), 0.5 * mean_error({}));
  const double floor = fit(networks, {.floor = true}).floor.value;
  EXPECT_GT(floor, 0.3e-3);
  EXPECT_LT(floor, 0.7e-3);
}

// Latencies of a known machine give that machine back, term by term, where dense ops wait for
// memory and depthwise ones do not: elsewhere the terms cannot be told apart.
TEST(Fit, RecoversAKnownMachine) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int round = 0; round < 6; ++round) {
    const Fit truth{.ridge_point = {20 + 20 * uniform(random)},
                    .seconds_per_mac = 1e-11 * (1 + uniform(random)),
                    .depthwise_cost = round % 2 == 0 ? 1 : 10 + 10 * uniform(random),
                    .op_overhead = {round % 3 == 0 ? 0 : 2e-5 * uniform(random)},
                    .floor = {round % 3 == 1 ? 0 : 1e-3 * uniform(random)}};
    std::vector<Measured> networks;
    for (const Architecture& architecture : members(40, 100 + uint64_t(round))) {
      NetworkWork work = work_of(architecture);
      const Seconds latency = truth.predict(work);
      networks.push_back({std::move(work), latency, std::to_string(networks.size())});
    }
    const Fit found =
        fit(networks, {.depthwise_cost = round % 2 == 1, .op_overhead = true, .floor = true});
    EXPECT_NEAR(found.ridge_point.value / truth.ridge_point.value, 1, 0.02);
    EXPECT_NEAR(found.seconds_per_mac / truth.seconds_per_mac, 1, 0.02);
    EXPECT_NEAR(found.depthwise_cost / truth.depthwise_cost, 1, 0.03);
    for (const Measured& network : networks) {
      EXPECT_NEAR(found.predict(network.work) / network.latency, 1, 0.005);
    }
  }
}

TEST(Fit, NeedsAsManyNetworksAsFigures) {
  std::vector<Measured> networks = table6("pixel6_cpu_ms");
  networks.resize(1);
  EXPECT_THAT(error_of([&] { fit(networks, {}); }), testing::HasSubstr("there are 1"));
  const std::vector<Measured> repeated(20, networks[0]);
  EXPECT_THAT(error_of([&] { fit(repeated, {}); }), testing::HasSubstr("there are 1"));
}

}  // namespace
}  // namespace ridgewalk
