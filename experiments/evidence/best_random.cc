#include "experiments/evidence/best_random.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "roofline/statistics.h"

namespace ridgewalk {
namespace {

// The expected value of the first of `count` out of `values`, taken at random and put in the order
// that they have here: the i-th (from 0) of n comes first with a probability of
// C(n - 1 - i, count - 1) / C(n, count).
double expected_first(const std::vector<double>& values, size_t count) {
  double chance = double(count) / double(values.size()), sum = 0;
  for (size_t i = 0; i + count <= values.size(); ++i) {
    sum += chance * values[i];
    const double others = double(values.size() - 1 - i);
    if (others > 0) chance *= (others + 1 - double(count)) / others;
  }
  return sum;
}

// The random networks of a seed that were trained, the best by search-validation first.
std::vector<NetworkRecord> random_of_seed(const std::vector<NetworkRecord>& networks,
                                          uint64_t seed) {
  std::vector<NetworkRecord> own;
  for (const NetworkRecord& network : networks) {
    const bool is_own = network.origin.way == Way::kRandomNetworks && network.origin.seed == seed;
    if (is_own && search_validation_top1(network) && network.origin.budget) own.push_back(network);
  }
  std::stable_sort(own.begin(), own.end(), [](const NetworkRecord& a, const NetworkRecord& b) {
    return *search_validation_top1(a) > *search_validation_top1(b);
  });
  return own;
}

}  // namespace

std::optional<BestRandom> best_random(const NetworkRecord& network,
                                      const std::vector<NetworkRecord>& networks) {
  const std::vector<NetworkRecord> random = random_of_seed(networks, network.origin.seed);
  if (random.empty() || !network.origin.budget) return std::nullopt;
  Macs all;
  std::vector<double> tests;
  for (const NetworkRecord& one : random) {
    all += *one.origin.budget;
    tests.push_back(*test_top1(one));
  }
  constexpr double kMost = 1e9;
  const double trained = double(random.size());
  const bool is_random = network.origin.way == Way::kRandomNetworks;
  const double bought = std::floor(trained * (*network.origin.budget / all));
  const double count = is_random ? trained : std::clamp(bought, 1.0, kMost);
  return BestRandom{.count = int(count),
                    .trained = int(trained),
                    .test_top1 = expected_first(tests, size_t(std::min(count, trained)))};
}

std::optional<AgainstBestRandom> against_best_random(Way way,
                                                     const std::vector<NetworkRecord>& networks) {
  struct OfSeed {
    std::vector<double> counts, bests, differences;
  };
  std::map<uint64_t, OfSeed> seeds;
  int lacking = 0;
  for (const NetworkRecord& network : networks) {
    if (network.origin.way != way) continue;
    const auto best = best_random(network, networks);
    const auto test = test_top1(network);
    if (!best || !test) continue;
    OfSeed& own = seeds[network.origin.seed];
    own.counts.push_back(best->count);
    own.bests.push_back(best->test_top1);
    own.differences.push_back(*test - best->test_top1);
    lacking = std::max(lacking, best->count - best->trained);
  }
  if (seeds.empty()) return std::nullopt;
  const auto over_seeds = [&](std::vector<double> OfSeed::* values) {
    std::vector<double> means;
    for (const auto& [seed, own] : seeds) means.push_back(mean(own.*values));
    return estimate(means);
  };
  return AgainstBestRandom{.count = over_seeds(&OfSeed::counts),
                           .test_top1 = over_seeds(&OfSeed::bests),
                           .difference = over_seeds(&OfSeed::differences),
                           .most_lacking = lacking};
}

Json against_json(const AgainstBestRandom& against) {
  const Estimate& difference = against.difference;
  return {
      {"networks", estimate_json(against.count)},
      {"scratch_test_top1", estimate_json(against.test_top1)},
      {"over", difference.error > 0 ? paired_json(difference) : Json{{"points", difference.mean}}},
      {"lacking", against.most_lacking}};
}

std::string best_random_text(const std::vector<WayAgainstBestRandom>& ways) {
  if (ways.empty()) return "";
  std::string text = fmt::format("{:<16} {:>16} {:>18} {:>22}\n", "way", "random networks",
                                 "best one's test %", "over the best one");
  std::string lacking;
  for (const auto& [way, against] : ways) {
    std::string over = fmt::format("{:+.2f}", 100 * against.difference.mean);
    if (against.difference.error > 0) {
      over += fmt::format(" ({:.1f} s.e.)", against.difference.mean / against.difference.error);
    }
    text += fmt::format("{:<16} {:>17} {:>19} {:>22}\n", to_string(way),
                        estimate_text(against.count, 1, 1),
                        estimate_text(against.test_top1, 100, 2), over);
    if (against.most_lacking == 0) continue;
    lacking += fmt::format(
        "{}: {} more --random-networks are needed; without them the best one is "
        "a lower bound\n",
        to_string(way), against.most_lacking);
  }
  return "\n" + text + lacking +
         "random networks: as many as the MACs of the way's search and training would have "
         "trained; "
         "the best one by search-validation.\n";
}

}  // namespace ridgewalk
