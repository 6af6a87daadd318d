#include "experiments/evidence/ranking.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "experiments/run/csv.h"
#include "roofline/intervals.h"

namespace ridgewalk {
namespace {

constexpr int kResamples = 2000;
constexpr double kCoverage = 0.95;

std::vector<double> column(const std::vector<RankedNetwork>& networks,
                           double RankedNetwork::*figure) {
  std::vector<double> values;
  for (const RankedNetwork& network : networks) values.push_back(network.*figure);
  return values;
}

// Test accuracy of training `index` of each network.
std::vector<double> training(const std::vector<RankedNetwork>& networks, size_t index) {
  std::vector<double> values;
  for (const RankedNetwork& network : networks) values.push_back(network.alone_test.at(index));
  return values;
}

std::vector<double> means(const std::vector<RankedNetwork>& networks,
                          std::vector<double> RankedNetwork::*trainings) {
  std::vector<double> values;
  for (const RankedNetwork& network : networks) values.push_back(mean(network.*trainings));
  return values;
}

std::vector<double> at(const std::vector<double>& values, const std::vector<size_t>& indices) {
  std::vector<double> picked;
  for (size_t i : indices) picked.push_back(values[i]);
  return picked;
}

Json with_interval(double value, const std::optional<Interval>& interval) {
  return {{"value", number_or_null(value)},
          {"low", interval ? Json(interval->low) : Json()},
          {"high", interval ? Json(interval->high) : Json()}};
}

using Orders = std::pair<std::vector<double>, std::vector<double>>;

// How far one order agrees with another; where there are several pairs of them, the mean.
Json pair_json(const std::string& shared_name, const std::string& alone_name,
               const std::vector<Orders>& pairs, uint64_t seed) {
  Json pair = {{"shared", shared_name}, {"alone", alone_name}};
  std::vector<size_t> all(pairs.at(0).first.size());
  std::iota(all.begin(), all.end(), size_t(0));
  for (const auto& [name, figure] :
       {std::pair("kendall_tau_b", &kendall_tau_b), {"spearman", &spearman}}) {
    const auto agreement = [&, use = figure](const std::vector<size_t>& i) {
      std::vector<double> figures;
      for (const auto& [one, other] : pairs) figures.push_back(use(at(one, i), at(other, i)));
      return mean(figures);
    };
    pair[name] = with_interval(agreement(all),
                               bootstrap(all.size(), kResamples, seed, kCoverage, agreement));
  }
  return pair;
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

// Spearman's correlation of a judge without error with the mean of `trainings` trainings, of which
// two agree with `agreement` (Spearman 1904, attenuation; Spearman 1910 and Brown 1910, means).
double best_spearman(double agreement, double trainings) {
  const double reliability = std::max(0.0, agreement);
  return std::sqrt(trainings * reliability / (1 + (trainings - 1) * reliability));
}

}  // namespace

Json ranking_json(const std::vector<RankedNetwork>& networks, uint64_t seed) {
  const auto shared = column(networks, &RankedNetwork::shared_top1);
  std::vector<double> shared_loss = column(networks, &RankedNetwork::shared_loss);
  for (double& loss : shared_loss) loss = -loss;  // the larger the better, like the others
  const auto alone = means(networks, &RankedNetwork::alone_top1);
  const auto test = means(networks, &RankedNetwork::alone_test);
  const auto macs = column(networks, &RankedNetwork::macs);
  const auto parameters = column(networks, &RankedNetwork::parameters);
  const std::string test_name = "test top-1 from scratch";
  const std::string held_out = "search-validation top-1 from scratch";
  const std::string shared_name = "search-validation top-1, shared weights";
  size_t trainings = networks.at(0).alone_test.size();
  for (const RankedNetwork& network : networks) {
    trainings = std::min(trainings, network.alone_test.size());
  }
  Json result = {{"networks", networks.size()},
                 {"trainings", trainings},
                 {"coverage", kCoverage},
                 {"resamples", kResamples}};
  result["pairs"] = {
      pair_json(shared_name, test_name, {{shared, test}}, seed),
      pair_json(shared_name, held_out, {{shared, alone}}, seed),
      pair_json("search-validation loss, shared weights", test_name, {{shared_loss, test}}, seed),
      pair_json("parameters", test_name, {{parameters, test}}, seed),
      pair_json("MACs", test_name, {{macs, test}}, seed),
      // How far the same trainings agree with themselves on other images: more than with other
      // trainings of the same networks, whose luck is another.
      pair_json(held_out, test_name, {{alone, test}}, seed),
  };
  if (trainings > 1) {
    std::vector<Orders> pairs;
    for (size_t a = 0; a < trainings; ++a) {
      for (size_t b = a + 1; b < trainings; ++b) {
        pairs.emplace_back(training(networks, a), training(networks, b));
      }
    }
    const Json agreement =
        pair_json("test top-1 of one training", "test top-1 of another", pairs, seed);
    result["pairs"].push_back(agreement);
    if (agreement["spearman"]["value"].is_number()) {
      result["best_spearman"] = best_spearman(agreement["spearman"]["value"], double(trainings));
    }
  }
  const double best = *std::max_element(test.begin(), test.end());
  double squares = 0;
  for (double value : test) squares += (value - mean(test)) * (value - mean(test));
  result["test_top1"] = {{"mean", mean(test)},
                         {"deviation", std::sqrt(squares / std::max(1.0, double(test.size()) - 1))},
                         {"lowest", *std::min_element(test.begin(), test.end())},
                         {"highest", best}};
  result["regret"] = with_interval(
      regret(shared, test),
      bootstrap(networks.size(), kResamples, seed, kCoverage,
                [&](const std::vector<size_t>& i) { return regret(at(shared, i), at(test, i)); }));
  result["regret_of_a_random_pick"] = best - mean(test);
  return result;
}

std::string ranking_text(const Json& ranking) {
  const auto figure = [](const Json& one) {
    const auto text = [](const Json& value) {
      return value.is_number() ? fmt::format("{:.2f}", value.get<double>()) : "-";
    };
    return fmt::format("{} [{}, {}]", text(one["value"]), text(one["low"]), text(one["high"]));
  };
  std::string text = fmt::format("{:<42} {:<38} {:<22} {}\n", "network ranked by", "against",
                                 "Kendall tau-b", "Spearman");
  for (const Json& pair : ranking["pairs"]) {
    text += fmt::format("{:<42} {:<38} {:<22} {}\n", pair["shared"].get<std::string>(),
                        pair["alone"].get<std::string>(), figure(pair["kendall_tau_b"]),
                        figure(pair["spearman"]));
  }
  const Json& test = ranking["test_top1"];
  const auto percent = [](const Json& share) { return 100 * share.get<double>(); };
  std::string regret_text = fmt::format("{:.2f}", percent(ranking["regret"]["value"]));
  if (ranking["regret"]["low"].is_number()) {
    regret_text += fmt::format(" [{:.2f}, {:.2f}]", percent(ranking["regret"]["low"]),
                               percent(ranking["regret"]["high"]));
  }
  text += fmt::format(
      "\n{} networks, {} training{} each; brackets: 95 % of bootstrap resamples. Test top-1 from "
      "scratch {:.2f} to {:.2f} %,\nmean {:.2f} %, deviation {:.2f}. The network with the best "
      "shared accuracy lacks "
      "{} points\nto the best; a random pick {:.2f}.\n",
      ranking["networks"].get<size_t>(), ranking["trainings"].get<size_t>(),
      ranking["trainings"] == 1 ? "" : "s", percent(test["lowest"]), percent(test["highest"]),
      percent(test["mean"]), percent(test["deviation"]), regret_text,
      percent(ranking["regret_of_a_random_pick"]));
  if (ranking.contains("best_spearman")) {
    text += fmt::format(
        "Trainings have luck: by how far they agree with each other, a judge without error would "
        "have a\nSpearman of about {:.2f} against their mean.\n",
        ranking["best_spearman"].get<double>());
  }
  if (ranking["trainings"] == 1) {
    text +=
        "How much of their order is the luck of one training is not known; --repeats 2 tells.\n";
  }
  return text;
}

Json ranked_json(const std::vector<RankedNetwork>& networks) {
  Json list = Json::array();
  for (const RankedNetwork& network : networks) {
    list.push_back({{"network", network.name},
                    {"parameters", network.parameters},
                    {"macs", network.macs},
                    {"of_target", network.of_target.empty() ? Json() : Json(network.of_target[0])},
                    {"shared_search_validation_top1", network.shared_top1},
                    {"shared_search_validation_loss", network.shared_loss},
                    {"scratch_search_validation_top1", mean(network.alone_top1)},
                    {"scratch_test_top1", mean(network.alone_test)}});
  }
  return list;
}

std::string ranking_csv(const std::vector<RankedNetwork>& networks) {
  return csv_table(ranked_json(networks));
}

}  // namespace ridgewalk
