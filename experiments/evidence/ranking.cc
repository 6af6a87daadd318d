#include "experiments/evidence/ranking.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <span>

#include <fmt/format.h>

#include "experiments/evidence/decision_regression.h"
#include "experiments/evidence/perfect_judge.h"
#include "experiments/run/counted.h"
#include "roofline/cost.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

constexpr int kRankingResamples = 2000;
constexpr double kRankingCoverage = 0.95;
constexpr size_t kFewestRegressed = 8;  // networks, of which a regression says anything

constexpr const char* kShared = "search-validation top-1, shared weights";
constexpr const char* kHeldOut = "search-validation top-1 from scratch";
constexpr const char* kTest = "test top-1 from scratch";
constexpr const char* kSharedInt8 = "search-validation top-1, shared, int8";
constexpr const char* kTestInt8 = "test top-1 from scratch, int8";

// What networks are ordered by: one value per network, the larger the better or the larger.
struct Columns {
  std::vector<double> shared, shared_loss, held_out, test, parameters, macs;
  std::vector<double> shared_int8, test_int8;  // none where they were not measured
  std::vector<double> latency;                 // of the first target; none where it is unknown
  std::map<std::string, std::vector<double>> proxies;  // those that are defined for all
  std::vector<std::string> undefined_proxies = {};     // the others
  std::vector<double> regression = {};                 // none where decisions are unknown
};

Columns columns_of(const std::vector<NetworkRecord>& networks) {
  Columns columns;
  for (const NetworkRecord& network : networks) {
    const NetworkCost cost = network_cost(lower(network.architecture));
    columns.shared.push_back(network.shared_top1.value());
    columns.shared_loss.push_back(-network.shared_loss.value());
    if (const auto top1 = search_validation_top1(network)) columns.held_out.push_back(*top1);
    columns.test.push_back(test_top1(network).value());
    columns.parameters.push_back(double(cost.parameters));
    columns.macs.push_back(cost.macs.value);
    if (network.shared_int8_top1) columns.shared_int8.push_back(*network.shared_int8_top1);
    if (!network.int8_test_top1.empty()) columns.test_int8.push_back(mean(network.int8_test_top1));
    if (!network.of_target.empty()) columns.latency.push_back(network.of_target[0]);
    for (const auto& [name, proxy] : network.proxies) columns.proxies[name].push_back(proxy.value);
  }
  std::erase_if(columns.proxies, [&](const auto& column) {
    const auto& [name, values] = column;
    const auto is_finite = [](double value) { return std::isfinite(value); };
    const bool is_defined =
        values.size() == networks.size() && std::all_of(values.begin(), values.end(), is_finite);
    if (!is_defined) columns.undefined_proxies.push_back(name);
    return !is_defined;
  });
  return columns;
}

std::vector<double> at(const std::vector<double>& values, const std::vector<size_t>& indices) {
  std::vector<double> picked;
  for (size_t i : indices) picked.push_back(values[i]);
  return picked;
}

using Orders = std::pair<std::vector<double>, std::vector<double>>;

// Which networks are one draw, and the seed of the draws.
struct Draws {
  RowsOfNetworks rows;
  uint64_t seed = 0;

  void resample(const std::function<void(const std::vector<size_t>&)>& use) const {
    ridgewalk::resample(rows.size(), kRankingResamples, seed, [&](const auto& drawn) {
      std::vector<size_t> networks;
      for (size_t i : drawn) networks.insert(networks.end(), rows[i].begin(), rows[i].end());
      use(networks);
    });
  }
};

// How far one order agrees with another; where there are several pairs of them, the mean.
OrderAgreement agreement_of(const std::string& shared, const std::string& alone,
                            const std::vector<Orders>& pairs, const Draws& draws) {
  std::vector<size_t> all(pairs.at(0).first.size());
  std::iota(all.begin(), all.end(), size_t(0));
  const auto figure = [&](RankCorrelation kind,
                          double (*measure)(std::span<const double>, std::span<const double>)) {
    const auto mean_of = [&](const std::vector<size_t>& i) {
      std::vector<double> figures;
      for (const auto& pair : pairs) {
        figures.push_back(measure(at(pair.first, i), at(pair.second, i)));
      }
      return mean(figures);
    };
    std::vector<double> resampled;
    draws.resample([&](const std::vector<size_t>& drawn) { resampled.push_back(mean_of(drawn)); });
    const double value = mean_of(all);
    return Figure{
        value, correlation_interval(kind, value, draws.rows.size(), kRankingCoverage, resampled)};
  };
  return {.shared = shared,
          .alone = alone,
          .kendall_tau_b = figure(RankCorrelation::kKendall, &kendall_tau_b),
          .spearman = figure(RankCorrelation::kSpearman, &spearman)};
}

// One training against another of the same networks, for every two of them.
std::vector<Orders> pairs_of_trainings(const std::vector<NetworkRecord>& networks,
                                       size_t trainings) {
  const auto training = [&](size_t index) {
    std::vector<double> values;
    for (const NetworkRecord& network : networks) {
      values.push_back(network.trainings.at(index).test.top1);
    }
    return values;
  };
  std::vector<Orders> pairs;
  for (size_t a = 0; a < trainings; ++a) {
    for (size_t b = a + 1; b < trainings; ++b) pairs.emplace_back(training(a), training(b));
  }
  return pairs;
}

// Of each different network, the test accuracy of each training.
std::vector<std::vector<double>> tests_of(const std::vector<NetworkRecord>& networks,
                                          const RowsOfNetworks& rows) {
  std::vector<std::vector<double>> tests;
  for (const std::vector<size_t>& same : rows) {
    tests.emplace_back();
    for (const TrainingResult& training : networks[same.front()].trainings) {
      tests.back().push_back(training.test.top1);
    }
  }
  return tests;
}

// What the network that `shared` puts first lacks to the best one; the mean of those it puts first.
double regret(const std::vector<double>& shared, const std::vector<double>& alone) {
  const double most = *std::max_element(shared.begin(), shared.end());
  std::vector<double> chosen;
  for (size_t i = 0; i < shared.size(); ++i) {
    if (shared[i] == most) chosen.push_back(alone[i]);
  }
  return *std::max_element(alone.begin(), alone.end()) - mean(chosen);
}

// How every judge of single networks agrees with their trainings.
std::vector<OrderAgreement> judged_pairs(const Columns& columns, const Draws& draws) {
  std::vector<OrderAgreement> pairs;
  const size_t networks = columns.test.size();
  const auto add = [&](const std::string& name, const std::vector<double>& values,
                       const char* other, const std::vector<double>& others) {
    if (values.size() < networks || others.size() < networks) return;  // not known of all
    pairs.push_back(agreement_of(name, other, {{values, others}}, draws));
  };
  add(kShared, columns.shared, kTest, columns.test);
  add(kShared, columns.shared, kHeldOut, columns.held_out);
  add(kShared, columns.shared, kTestInt8, columns.test_int8);
  add(kSharedInt8, columns.shared_int8, kTestInt8, columns.test_int8);
  add(kSharedInt8, columns.shared_int8, kTest, columns.test);
  add(kTest, columns.test, kTestInt8, columns.test_int8);
  add("search-validation loss, shared weights", columns.shared_loss, kTest, columns.test);
  add("parameters", columns.parameters, kTest, columns.test);
  add("MACs", columns.macs, kTest, columns.test);
  add("predicted latency", columns.latency, kTest, columns.test);
  for (const auto& [name, values] : columns.proxies) {
    add("proxy " + name, values, kTest, columns.test);
  }
  add("ridge regression of other trainings", columns.regression, kTest, columns.test);
  // How far the same trainings agree with themselves on other images: more than with other
  // trainings of the same networks, which have other luck.
  add(kHeldOut, columns.held_out, kTest, columns.test);
  return pairs;
}

// How far trainings agree, and what that leaves to a judge without error.
void add_luck(Ranking& ranking, const std::vector<NetworkRecord>& networks, const Draws& draws) {
  if (ranking.trainings < 2) return;
  const OrderAgreement agreement =
      agreement_of("test top-1 of one training", "test top-1 of another",
                   pairs_of_trainings(networks, ranking.trainings), draws);
  ranking.pairs.push_back(agreement);
  if (!std::isfinite(agreement.spearman.value)) return;
  ranking.best_spearman = best_spearman(agreement.spearman.value, double(ranking.trainings));
  ranking.best_kendall = best_kendall(tests_of(networks, draws.rows), draws.seed);
}

Spread spread_of(const std::vector<double>& values) {
  double squares = 0;
  for (double value : values) squares += (value - mean(values)) * (value - mean(values));
  return {.mean = mean(values),
          .deviation = std::sqrt(squares / std::max(1.0, double(values.size()) - 1)),
          .lowest = *std::min_element(values.begin(), values.end()),
          .highest = *std::max_element(values.begin(), values.end())};
}

std::map<std::string, double> mean_proxy_seconds(const std::vector<NetworkRecord>& networks,
                                                 const Columns& columns) {
  std::map<std::string, double> means;
  for (const auto& [name, values] : columns.proxies) {
    double seconds = 0;
    for (const NetworkRecord& network : networks) seconds += network.proxies.at(name).seconds;
    means[name] = seconds / double(networks.size());
  }
  return means;
}

// Of all brackets of a ranking.
std::string interval_methods(const Ranking& ranking) {
  std::vector<Figure> figures{ranking.regret};
  for (const OrderAgreement& pair : ranking.pairs) {
    figures.insert(figures.end(), {pair.kendall_tau_b, pair.spearman});
  }
  return interval_methods(figures);
}

}  // namespace

Ranking rank(const std::vector<NetworkRecord>& networks, uint64_t seed, RowsOfNetworks rows,
             const std::vector<Decisions>& decisions) {
  size_t trainings = networks.at(0).trainings.size();
  for (const NetworkRecord& network : networks) {
    trainings = std::min(trainings, network.trainings.size());
  }
  if (rows.empty()) {
    for (size_t i = 0; i < networks.size(); ++i) rows.push_back({i});
  }
  const Draws draws{std::move(rows), seed};
  Columns columns = columns_of(networks);
  const std::vector<double>& test = columns.test;
  if (!decisions.empty() && draws.rows.size() >= kFewestRegressed) {
    columns.regression = regression_on_others(decisions, test, draws.rows);
  }
  Ranking ranking{.networks = networks.size(),
                  .draws = draws.rows.size(),
                  .trainings = trainings,
                  .pairs = judged_pairs(columns, draws),
                  .proxy_seconds = mean_proxy_seconds(networks, columns),
                  .undefined_proxies = columns.undefined_proxies,
                  .test_top1 = spread_of(test)};
  add_luck(ranking, networks, draws);
  std::vector<double> regrets;
  draws.resample([&](const std::vector<size_t>& i) {
    regrets.push_back(regret(at(columns.shared, i), at(test, i)));
  });
  ranking.regret = {regret(columns.shared, test),
                    percentile_interval(draws.rows.size(), regrets, kRankingCoverage)};
  ranking.regret_of_a_random_pick = ranking.test_top1.highest - ranking.test_top1.mean;
  return ranking;
}

std::vector<NetworkRecord> near_median_macs(const std::vector<NetworkRecord>& networks,
                                            double tolerance) {
  std::vector<double> macs;
  for (const NetworkRecord& network : networks) {
    macs.push_back(network_cost(lower(network.architecture)).macs.value);
  }
  const double median = quantile(macs, 0.5);
  std::vector<NetworkRecord> near;
  for (size_t i = 0; i < networks.size(); ++i) {
    if (std::abs(macs[i] - median) <= tolerance * median) near.push_back(networks[i]);
  }
  return near;
}

Json ranking_json(const Ranking& ranking) {
  Json json = {{"networks", ranking.networks},   {"different_networks", ranking.draws},
               {"trainings", ranking.trainings}, {"coverage", kRankingCoverage},
               {"resamples", kRankingResamples}, {"interval_methods", interval_methods(ranking)},
               {"pairs", Json::array()}};
  for (const OrderAgreement& pair : ranking.pairs) {
    json["pairs"].push_back({{"shared", pair.shared},
                             {"alone", pair.alone},
                             {"kendall_tau_b", figure_json(pair.kendall_tau_b)},
                             {"spearman", figure_json(pair.spearman)}});
  }
  if (ranking.best_spearman) json["best_spearman"] = *ranking.best_spearman;
  if (ranking.best_kendall) json["best_kendall_tau_b"] = *ranking.best_kendall;
  json["test_top1"] = {{"mean", ranking.test_top1.mean},
                       {"deviation", ranking.test_top1.deviation},
                       {"lowest", ranking.test_top1.lowest},
                       {"highest", ranking.test_top1.highest}};
  if (!ranking.undefined_proxies.empty()) json["undefined_proxies"] = ranking.undefined_proxies;
  json["regret"] = figure_json(ranking.regret);
  json["regret_of_a_random_pick"] = ranking.regret_of_a_random_pick;
  return json;
}

std::string ranking_text(const Ranking& ranking) {
  std::string text = fmt::format("{:<42} {:<38} {:<22} {}\n", "network ranked by", "against",
                                 "Kendall tau-b", "Spearman");
  for (const OrderAgreement& pair : ranking.pairs) {
    text += fmt::format("{:<42} {:<38} {:<22} {}\n", pair.shared, pair.alone,
                        figure_text(pair.kendall_tau_b, 1, 2), figure_text(pair.spearman, 1, 2));
  }
  const auto& test = ranking.test_top1;
  text += fmt::format(
      "\n{}{}, {} each. Test top-1 from scratch {:.2f} to {:.2f} %,\n"
      "mean {:.2f} %, deviation {:.2f}. The network with the best shared accuracy is {} points\n"
      "below the best; a random pick is {:.2f} below on average.\n"
      "Brackets: 95 % intervals: {}.\n",
      counted(int64_t(ranking.networks), "network"),
      ranking.draws == ranking.networks ? "" : fmt::format(", {} different ones", ranking.draws),
      counted(int64_t(ranking.trainings), "training"), 100 * test.lowest, 100 * test.highest,
      100 * test.mean, 100 * test.deviation, figure_text(ranking.regret, 100, 2),
      100 * ranking.regret_of_a_random_pick, interval_methods(ranking));
  if (!ranking.proxy_seconds.empty()) {
    text += "Proxies, seconds a network:";
    for (const auto& [name, seconds] : ranking.proxy_seconds) {
      text += fmt::format(" {} {:.3f}", name, seconds);
    }
    text += ".\n";
  }
  for (const std::string& name : ranking.undefined_proxies) {
    text += name + " is left out: it is not a finite number for every network.\n";
  }
  if (ranking.best_kendall == 0.0) {
    text +=
        "The networks differ by no more than the luck of their trainings, which no judge can "
        "order.\n";
  } else if (ranking.best_kendall) {
    const double tau = ranking.pairs.at(0).kendall_tau_b.value;
    text += fmt::format(
        "Trainings differ by luck: judging by how far they agree, a perfect judge would have a "
        "Kendall\ntau-b of about {:.2f} and a Spearman of about {:.2f} against their mean{}.\n",
        *ranking.best_kendall, *ranking.best_spearman,
        tau > 0 ? fmt::format("; the shared weights' tau-b is\n{:.0f} % of that",
                              100 * tau / *ranking.best_kendall)
                : "");
  }
  if (ranking.trainings == 1) {
    text +=
        "How much of the order is the luck of single trainings is unknown; second ones show it "
        "(--repeats 2,\nor another column of --truth).\n";
  }
  return text;
}

Json ranked_json(const std::vector<NetworkRecord>& networks) {
  const Columns columns = columns_of(networks);
  Json list = Json::array();
  for (size_t i = 0; i < networks.size(); ++i) {
    const NetworkRecord& network = networks[i];
    list.push_back(
        {{"network", network.architecture.name},
         {"parameters", columns.parameters[i]},
         {"macs", columns.macs[i]},
         {"of_target", network.of_target.empty() ? Json() : Json(network.of_target[0])},
         {"shared_search_validation_top1", columns.shared[i]},
         {"shared_search_validation_loss", *network.shared_loss},
         {"scratch_search_validation_top1",
          search_validation_top1(network) ? Json(*search_validation_top1(network)) : Json()},
         {"scratch_test_top1", columns.test[i]}});
    if (columns.shared_int8.empty() || columns.test_int8.empty()) continue;
    list.back()["shared_search_validation_int8_top1"] = columns.shared_int8[i];
    list.back()["scratch_test_int8_top1"] = columns.test_int8[i];
  }
  return list;
}

}  // namespace ridgewalk
