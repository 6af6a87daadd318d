#include "experiments/ranking.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "experiments/csv.h"
#include "roofline/statistics.h"

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

Json with_interval(double value, const Interval& interval) {
  return {{"value", number_or_null(value)},
          {"low", number_or_null(interval.low)},
          {"high", number_or_null(interval.high)}};
}

Json pair_json(const std::string& shared_name, const std::vector<double>& shared,
               const std::string& alone_name, const std::vector<double>& alone, uint64_t seed) {
  Json pair = {{"shared", shared_name}, {"alone", alone_name}};
  for (const auto& [name, figure] :
       {std::pair("kendall_tau_b", &kendall_tau_b), {"spearman", &spearman}}) {
    const Interval interval = bootstrap(shared.size(), kResamples, seed, kCoverage,
                                        [&, use = figure](const std::vector<size_t>& i) {
                                          return use(at(shared, i), at(alone, i));
                                        });
    pair[name] = with_interval(figure(shared, alone), interval);
  }
  return pair;
}

// What the network that `shared` puts first lacks to the best one.
double regret(const std::vector<double>& shared, const std::vector<double>& alone) {
  const auto chosen = std::max_element(shared.begin(), shared.end()) - shared.begin();
  return *std::max_element(alone.begin(), alone.end()) - alone[size_t(chosen)];
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
      pair_json(shared_name, shared, test_name, test, seed),
      pair_json(shared_name, shared, held_out, alone, seed),
      pair_json("search-validation loss, shared weights", shared_loss, test_name, test, seed),
      pair_json("parameters", parameters, test_name, test, seed),
      pair_json("MACs", macs, test_name, test, seed),
      // How far one training from scratch agrees with itself on other images: no better can be
      // asked of anything else.
      pair_json(held_out, alone, test_name, test, seed),
  };
  if (trainings > 1) {
    result["pairs"].push_back(pair_json("test top-1 of a training", training(networks, 0),
                                        "test top-1 of another", training(networks, 1), seed));
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
  text += fmt::format(
      "\n{} networks, {} training{} each; brackets: 95 % of bootstrap resamples. Test top-1 from "
      "scratch {:.2f} to {:.2f} %,\nmean {:.2f} %, deviation {:.2f}. The network with the best "
      "shared accuracy lacks "
      "{:.2f} points [{:.2f}, {:.2f}]\nto the best; a random pick {:.2f}.\n",
      ranking["networks"].get<size_t>(), ranking["trainings"].get<size_t>(),
      ranking["trainings"] == 1 ? "" : "s", percent(test["lowest"]), percent(test["highest"]),
      percent(test["mean"]), percent(test["deviation"]), percent(ranking["regret"]["value"]),
      percent(ranking["regret"]["low"]), percent(ranking["regret"]["high"]),
      percent(ranking["regret_of_a_random_pick"]));
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
