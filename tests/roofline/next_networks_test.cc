#include "roofline/next_networks.h"

#include <numeric>

#include "roofline/statistics.h"
#include "tests/helpers.h"
#include "tests/roofline/measured_networks.h"

namespace ridgewalk {
namespace {

const Fit kMachine{.ridge_point = {30}, .seconds_per_mac = 1e-11};

Measured measured_by(const NetworkWork& work, const std::string& name, double noise) {
  return {work, {kMachine.predict(work).value * (1 + noise)}, name};
}

// Over many draws of noise, the ridge points of fits with the networks that are suggested spread
// less than with as many that are drawn at random.
TEST(NextNetworks, NarrowTheRidgePointMoreThanRandomOnes) {
  std::vector<NetworkWork> works;
  for (const Architecture& one : members(60, 3)) works.push_back(work_of(one));
  const std::vector<NetworkWork> candidates(works.begin() + 8, works.end());
  std::mt19937_64 random(1);
  std::normal_distribution<double> noise(0, 0.03);
  std::vector<Measured> measured;
  for (size_t i = 0; i < 8; ++i) measured.push_back(measured_by(works[i], std::to_string(i), 0));
  const auto suggested = next_networks(measured, kMachine, {}, candidates, 3);
  ASSERT_EQ(suggested.size(), 3u);
  const auto spread = [&](const std::vector<size_t>& added) {
    std::vector<double> logs;
    for (int draw = 0; draw < 300; ++draw) {
      std::vector<Measured> rows;
      for (size_t i = 0; i < 8; ++i) {
        rows.push_back(measured_by(works[i], std::to_string(i), noise(random)));
      }
      for (size_t i : added) {
        rows.push_back(measured_by(candidates[i], "c" + std::to_string(i), noise(random)));
      }
      logs.push_back(std::log(fit(rows, {}).ridge_point.value));
    }
    return quantile(logs, 0.9) - quantile(logs, 0.1);
  };
  std::vector<size_t> best;
  for (const Suggestion& one : suggested) best.push_back(one.candidate);
  const double by_suggestion = spread(best);
  std::vector<double> by_chance;
  for (int i = 0; i < 15; ++i) {
    by_chance.push_back(spread({random() % 52, random() % 52, random() % 52}));
  }
  EXPECT_LT(by_suggestion, quantile(by_chance, 0.2));
  // What it says of the interval is what comes of it.
  EXPECT_NEAR(by_suggestion / spread({}), suggested.back().share, 0.12);
}

TEST(NextNetworks, AreDifferentAndNarrowMoreAndMore) {
  const std::vector<Measured> rows = table6("pixel6_cpu_ms");
  std::vector<NetworkWork> candidates;
  for (const Architecture& one : members(10, 3)) candidates.push_back(work_of(one));
  const FitTerms terms{.depthwise_cost = true, .op_overhead = true, .floor = true};
  const auto all = next_networks(rows, fit(rows, terms), terms, candidates, 20);
  ASSERT_EQ(all.size(), 10u);
  std::vector<bool> seen(10);
  double share = 1;
  for (const Suggestion& one : all) {
    EXPECT_FALSE(seen[one.candidate]);
    seen[one.candidate] = true;
    EXPECT_LE(one.share, share + 1e-9);
    share = one.share;
  }
}

// A fit that knows only overheads says nothing of the ridge point; suggestions are numbers still.
TEST(NextNetworks, AreGivenForAnOverheadAlone) {
  const std::vector<Measured> rows = table6("pixel6_cpu_ms");
  const Fit overhead{.ridge_point = {0}, .seconds_per_mac = 0, .op_overhead = {1e-4}};
  std::vector<NetworkWork> candidates;
  for (const Architecture& one : members(5, 3)) candidates.push_back(work_of(one));
  for (const Suggestion& one :
       next_networks(rows, overhead, {.op_overhead = true}, candidates, 3)) {
    EXPECT_GE(one.share, 0);
    EXPECT_LE(one.share, 1 + 1e-9);
  }
}

}  // namespace
}  // namespace ridgewalk
