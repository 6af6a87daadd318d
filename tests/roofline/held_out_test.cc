#include "roofline/held_out.h"

#include "roofline/statistics.h"
#include "tests/helpers.h"
#include "tests/roofline/measured_networks.h"

namespace ridgewalk {
namespace {

const std::vector<FitTerms> kPlain(1);

// A network that is not in the fit must not influence its own prediction.
TEST(CrossValidate, PredictsWhatItHasNotSeen) {
  std::vector<Measured> networks = table6("pixel6_cpu_ms");
  const double before = cross_validate(networks, kPlain, std::nullopt, 1).roofline[3];
  networks[3].latency = {networks[3].latency.value * 10};
  EXPECT_EQ(cross_validate(networks, kPlain, std::nullopt, 1).roofline[3], before);
}

// All rows of a network are held out together: changing every one of them changes none of their
// predictions.
TEST(CrossValidate, HoldsOutAllRowsOfANetwork) {
  std::vector<Measured> rows = repeated(table6("pixel6_cpu_ms"), 8);  // 88 rows
  const size_t networks = rows.size() / 8;
  const HeldOut before = cross_validate(rows, kPlain, std::nullopt, 1);
  for (size_t row = 3; row < rows.size(); row += networks) rows[row].latency.value *= 10;
  const HeldOut after = cross_validate(rows, kPlain, std::nullopt, 1);
  for (size_t row = 3; row < rows.size(); row += networks) {
    EXPECT_EQ(after.roofline[row], before.roofline[row]);
    EXPECT_EQ(after.baselines[0][row], before.baselines[0][row]);
  }
  EXPECT_NE(after.roofline[4], before.roofline[4]);
}

TEST(CrossValidate, NeedsOneNetworkMoreThanFigures) {
  std::vector<Measured> networks = table6("pixel6_cpu_ms");
  networks.resize(2);
  EXPECT_THAT(error_of([&] { cross_validate(networks, kPlain, std::nullopt, 1); }),
              testing::HasSubstr("needs at least 3 networks; there are 2"));
}

TEST(CrossValidate, BeatsMacCountingOnThePixel6) {
  const std::vector<Measured> networks = table6("pixel6_cpu_ms");
  const HeldOut held_out = cross_validate(networks, kPlain, std::nullopt, 1);
  std::vector<double> measured;
  for (const Measured& network : networks) measured.push_back(network.latency.value);
  EXPECT_LT(agreement(held_out.roofline, measured).mean_error,
            0.5 * agreement(held_out.baselines[0], measured).mean_error);
}

// Latencies of a machine, with 2 % of noise, for members of a space.
std::vector<Measured> measured_on(const Fit& machine, int count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> noise(0, 0.02);
  std::vector<Measured> rows;
  for (const Architecture& architecture : members(count, seed)) {
    NetworkWork work = work_of(architecture);
    const Seconds latency{machine.predict(work).value * std::exp(noise(random))};
    rows.push_back({std::move(work), latency, std::to_string(rows.size())});
  }
  return rows;
}

std::string best_terms(const Fit& machine, int count) {
  const auto tried = try_terms(measured_on(machine, count, 5), sets_of_terms(), std::nullopt, 0);
  return text_of(tried[best_of(tried)].terms);
}

// Terms that a machine has, and no others where they would not help.
TEST(TryTerms, FindsTheTermsOfAMachine) {
  const Fit plain{.ridge_point = {30}, .seconds_per_mac = 1e-11};
  Fit depthwise = plain, overhead = plain;
  depthwise.depthwise_cost = 8;
  overhead.op_overhead = {2e-5};
  EXPECT_THAT(best_terms(depthwise, 20), testing::HasSubstr("depthwise"));
  EXPECT_THAT(best_terms(overhead, 20), testing::HasSubstr("overhead"));
  const std::vector<Measured> rows = measured_on(plain, 20, 5);
  const auto tried = try_terms(rows, sets_of_terms(), std::nullopt, 0);
  EXPECT_FALSE(is_worse(tried[0], tried[best_of(tried)], rows));
  const std::vector<Measured> other = measured_on(depthwise, 20, 5);
  const auto of_other = try_terms(other, sets_of_terms(), std::nullopt, 0);
  EXPECT_TRUE(is_worse(of_other[0], of_other[best_of(of_other)], other));
}

TEST(TryTerms, LeavesOutSetsWithTooManyUnknowns) {
  std::vector<Measured> networks = table6("pixel6_cpu_ms");
  networks.resize(4);
  for (const TriedTerms& set : try_terms(networks, sets_of_terms(), std::nullopt, 0)) {
    EXPECT_LT(unknowns_of(set.terms, std::nullopt), 4u) << text_of(set.terms);
  }
  networks.resize(2);
  EXPECT_THAT(error_of([&] { try_terms(networks, sets_of_terms(), std::nullopt, 0); }),
              testing::HasSubstr("needs at least 3 networks; there are 2"));
}

TEST(SetsOfTerms, AreEightThePlainOneFirst) {
  const std::vector<FitTerms> sets = sets_of_terms();
  ASSERT_EQ(sets.size(), 8u);
  EXPECT_EQ(text_of(sets[0]), "none");
  EXPECT_EQ(text_of(sets[7]), "depthwise, overhead, floor");
}

// The terms are chosen without the network that is predicted: its latency changes nothing for it.
TEST(CrossValidate, ChoosesTermsWithoutWhatItPredicts) {
  Fit machine{.ridge_point = {30}, .seconds_per_mac = 1e-11};
  machine.depthwise_cost = 8;
  std::vector<Measured> rows = measured_on(machine, 12, 5);
  const std::vector<FitTerms> sets = sets_of_terms();
  const double before = cross_validate(rows, sets, std::nullopt, 1).roofline[3];
  rows[3].latency = {rows[3].latency.value * 10};
  EXPECT_EQ(cross_validate(rows, sets, std::nullopt, 1).roofline[3], before);
}

}  // namespace
}  // namespace ridgewalk
