#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/evidence/figure.h"
#include "roofline/fit.h"
#include "roofline/measurements.h"
#include "space/catalog.h"
#include "space/decisions.h"
#include "space/error.h"
#include "space/lowering.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

constexpr int kResamples = 1000;
constexpr double kCoverage = 0.9;

struct Question {
  DataType type;
  ByteConvention convention;
  FitTerms terms;
  std::optional<MacsPerByte> ridge_point;
  std::optional<SearchSpace> space;
  uint64_t seed;
};

FitTerms parse_terms(const std::string& list) {
  FitTerms terms;
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    if (part == "depthwise") {
      terms.depthwise_cost = true;
    } else if (part == "overhead") {
      terms.op_overhead = true;
    } else if (part == "floor") {
      terms.floor = true;
    } else {
      throw Error("--terms: '" + part + "' is none of depthwise, overhead, floor");
    }
  }
  return terms;
}

Decisions parse_decisions(const std::string& text) {
  std::istringstream stream(text);
  Decisions decisions;
  int decision = 0;
  while (stream >> decision) decisions.push_back(decision);
  if (!stream.eof()) throw Error("decisions are whole numbers with spaces between: '" + text + "'");
  return decisions;
}

Architecture architecture_of(const Measurement& row, const std::string& file,
                             const Question& question) {
  Architecture architecture = question.space ? decode(*question.space, parse_decisions(row.network))
                                             : find_architecture(network_beside(file, row.network));
  if (row.resolution) architecture.resolution = *row.resolution;
  if (row.channels) architecture.channels = *row.channels;
  if (row.classes) architecture.classes = *row.classes;
  validate(architecture);
  return architecture;
}

// What makes two rows of a table one network: all but names and the number of classes.
std::string identity_of(Architecture architecture) {
  architecture.name = "network";
  architecture.classes = 1;
  return to_yaml(architecture);
}

struct Table {
  std::vector<Measured> networks;
  int not_measured = 0;
  int repeats = 0;  // rows of a network, with as many classes, that an earlier row has
};

// Each network once, with the median of its latencies.
Table read_table(const std::string& file, const std::string& column, const Question& question) {
  const Measurements measurements = read_measurements(read_file(file), file, column);
  Table table{.networks = {}, .not_measured = measurements.not_measured, .repeats = 0};
  std::map<std::pair<std::string, int>, size_t> places;  // by network and classes
  std::vector<std::vector<double>> seconds;
  for (const Measurement& row : measurements.rows) {
    try {
      const Architecture architecture = architecture_of(row, file, question);
      const std::string network = identity_of(architecture);
      const auto [place, is_new] =
          places.emplace(std::pair(network, architecture.classes), table.networks.size());
      if (is_new) {
        table.networks.push_back(
            {network_work(row.network, lower(architecture), question.type, question.convention),
             {},
             network});
        seconds.emplace_back();
      } else {
        ++table.repeats;
      }
      seconds[place->second].push_back(row.latency.value);
    } catch (const Error& error) {
      throw Error(file, row.line, error.what());
    }
  }
  for (size_t i = 0; i < seconds.size(); ++i) {
    table.networks[i].latency = {quantile(seconds[i], 0.5)};
  }
  return table;
}

// The networks of a test table that the fit has not seen. Throws Error where fewer than 2 remain.
std::vector<Measured> unseen(const std::vector<Measured>& test, const std::vector<Measured>& fitted,
                             const std::string& file) {
  std::set<std::string> seen;
  for (const Measured& network : fitted) seen.insert(network.network);
  std::vector<Measured> kept;
  std::copy_if(test.begin(), test.end(), std::back_inserter(kept),
               [&](const Measured& network) { return !seen.contains(network.network); });
  if (kept.size() < 2) {
    throw Error(file, 0,
                fmt::format("has {} of {} networks that were not fitted; a test needs at least 2",
                            kept.size(), test.size()));
  }
  return kept;
}

std::vector<double> latencies(const std::vector<Measured>& networks) {
  std::vector<double> values;
  for (const Measured& network : networks) values.push_back(network.latency.value);
  return values;
}

// How predictions of networks held out meet their measurements.
struct Judgement {
  std::string predictor;
  Figure spearman, kendall_tau_b, mean_error, median_error, within_10;
};

Judgement judge(const std::string& predictor, const std::vector<double>& predicted,
                const std::vector<Measured>& networks, uint64_t seed) {
  const std::vector<double> measured = latencies(networks);
  std::vector<std::string> names;
  for (const Measured& network : networks) names.push_back(network.network);
  const RowsOfNetworks rows = rows_of_networks(names);
  const Agreement whole = agreement(predicted, measured);
  const std::vector<Agreement> resampled =
      resampled_agreement(predicted, measured, rows, kResamples, seed);
  const auto values_of = [&](double Agreement::*figure) {
    std::vector<double> values;
    for (const Agreement& one : resampled) values.push_back(one.*figure);
    return values;
  };
  const auto correlation = [&](RankCorrelation kind, double Agreement::*figure) {
    return Figure{whole.*figure, correlation_interval(kind, whole.*figure, rows.size(), kCoverage,
                                                      values_of(figure))};
  };
  const auto error = [&](double Agreement::*figure) {
    return Figure{whole.*figure, percentile_interval(rows.size(), values_of(figure), kCoverage)};
  };
  return {.predictor = predictor,
          .spearman = correlation(RankCorrelation::kSpearman, &Agreement::spearman),
          .kendall_tau_b = correlation(RankCorrelation::kKendall, &Agreement::kendall_tau_b),
          .mean_error = error(&Agreement::mean_error),
          .median_error = error(&Agreement::median_error),
          .within_10 = {whole.within_10, share_interval(whole.within_10, rows.size(), kCoverage)}};
}

// The roofline first, then what it must beat. A constant orders nothing.
std::vector<Judgement> judge_all(const HeldOut& held_out, const std::vector<Measured>& networks,
                                 uint64_t seed) {
  std::vector<Judgement> judgements{judge("roofline", held_out.roofline, networks, seed)};
  for (size_t b = 0; b < std::size(kValues<Baseline>); ++b) {
    Judgement& judgement = judgements.emplace_back(
        judge(std::string(to_string(kValues<Baseline>[b])), held_out.baselines[b], networks, seed));
    if (kValues<Baseline>[b] != Baseline::kConstant) continue;
    judgement.spearman = judgement.kendall_tau_b = {NAN, {}};
  }
  return judgements;
}

Json judgements_json(const std::vector<Judgement>& judgements) {
  const auto correlation = [](const Figure& figure) {
    return std::isnan(figure.value) ? Json() : figure_json(figure);
  };
  Json result;
  for (const Judgement& judgement : judgements) {
    result[judgement.predictor] = {{"spearman", correlation(judgement.spearman)},
                                   {"kendall_tau_b", correlation(judgement.kendall_tau_b)},
                                   {"mean_error", figure_json(judgement.mean_error)},
                                   {"median_error", figure_json(judgement.median_error)},
                                   {"within_10_percent", figure_json(judgement.within_10)}};
  }
  return result;
}

void print(const std::vector<Judgement>& judgements) {
  fmt::print("{:<16}{:>23}{:>23}{:>23}{:>23}{:>23}\n", "", "Spearman", "Kendall tau-b",
             "mean error %", "median error %", "within 10 %");
  std::vector<Figure> figures;
  for (const Judgement& j : judgements) {
    fmt::print("{:<16}{:>23}{:>23}{:>23}{:>23}{:>23}\n", j.predictor, figure_text(j.spearman, 1, 3),
               figure_text(j.kendall_tau_b, 1, 3), figure_text(j.mean_error, 100, 1),
               figure_text(j.median_error, 100, 1), figure_text(j.within_10, 100, 1));
    figures.insert(figures.end(),
                   {j.spearman, j.kendall_tau_b, j.mean_error, j.median_error, j.within_10});
  }
  fmt::print("brackets: {:.0f} % intervals: {}\n", 100 * kCoverage, interval_methods(figures));
}

void print(const Json& result, const std::vector<Judgement>& judgements) {
  fmt::print("{:<28} {:>12} {:>12} {:>8} {:>8}\n", "network", "measured ms", "fitted ms", "error %",
             "held out");
  for (const Json& network : result["networks"]) {
    fmt::print("{:<28} {:>12.4g} {:>12.4g} {:>+8.1f} {:>+8.1f}\n",
               network["name"].get<std::string>(), network["measured_ms"].get<double>(),
               network["fitted_ms"].get<double>(), 100 * network["error"].get<double>(),
               100 * network["held_out_error"].get<double>());
  }
  fmt::print("\n{}\n", result["protocol"].get<std::string>());
  print(judgements);
  const Json& fitted = result["fit"];
  fmt::print("\nridge point      {:.4g} MACs/byte", fitted["ridge_point"].get<double>());
  if (result.contains("ridge_point_interval") && !result["ridge_point_interval"].is_null()) {
    fmt::print(" [{:.4g}, {:.4g}]", result["ridge_point_interval"][0].get<double>(),
               result["ridge_point_interval"][1].get<double>());
  }
  fmt::print("\n");
  if (!fitted["peak_gmacs"].is_null()) {
    fmt::print("peak             {:.4g} GMAC/s\n", fitted["peak_gmacs"].get<double>());
  }
  if (!fitted["bandwidth_gbps"].is_null()) {
    fmt::print("bandwidth        {:.4g} GB/s\n", fitted["bandwidth_gbps"].get<double>());
  }
  const auto print_term = [&](const char* key, const char* form) {
    if (fitted.contains(key)) fmt::print(fmt::runtime(form), fitted[key].get<double>());
  };
  print_term("depthwise_cost", "depthwise cost   {:.3g} dense MACs a MAC\n");
  print_term("op_overhead_us", "op overhead      {:.4g} us\n");
  print_term("floor_ms", "floor            {:.4g} ms\n");
  for (const Json& warning : result["warnings"]) {
    fmt::print("note: {}\n", warning.get<std::string>());
  }
}

Json fit_json(const Fit& fitted, const FitTerms& terms) {
  Json result = {{"ridge_point", fitted.ridge_point.value},
                 {"peak_gmacs", nullptr},
                 {"bandwidth_gbps", nullptr}};
  if (fitted.seconds_per_mac > 0) {
    result["peak_gmacs"] = 1e-9 / fitted.seconds_per_mac;
    if (fitted.ridge_point.value > 0) {
      result["bandwidth_gbps"] = 1e-9 / fitted.seconds_per_mac / fitted.ridge_point.value;
    }
  }
  if (terms.depthwise_cost) result["depthwise_cost"] = fitted.depthwise_cost;
  if (terms.op_overhead) result["op_overhead_us"] = 1e6 * fitted.op_overhead.value;
  if (terms.floor) result["floor_ms"] = 1e3 * fitted.floor.value;
  return result;
}

Profile profile_of(const Fit& fitted, const Question& question, const std::string& out,
                   const std::string& source) {
  if (fitted.seconds_per_mac == 0) {
    throw Error("--out: the terms alone explain these latencies; there is no peak to write");
  }
  Profile profile{.name = std::filesystem::path(out).stem().string(),
                  .description = source,
                  .data_type = question.type,
                  .peak_gmacs = {},
                  .bandwidth_gbps = {},
                  .given_ridge_point = {},
                  .effective_ridge_point = Sourced{fitted.ridge_point.value, source},
                  .effective_peak_gmacs = Sourced{1e-9 / fitted.seconds_per_mac, source},
                  .terms = {}};
  if (question.terms.depthwise_cost) profile.terms.depthwise_cost = {fitted.depthwise_cost, source};
  if (question.terms.op_overhead) {
    profile.terms.op_overhead_us = {1e6 * fitted.op_overhead.value, source};
  }
  if (question.terms.floor) profile.terms.floor_ms = {1e3 * fitted.floor.value, source};
  return profile;
}

}  // namespace

int fit_command(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "fit MEASUREMENTS.csv [--latency COLUMN] [--terms floor,...] [--out PROFILE.yaml]",
      "Ridge point and peak of a device from measured latencies, by least squares on relative\n"
      "error, judged on networks held out. The table's first line names its columns: network\n"
      "(catalogue name, YAML file, or decisions of --space), a latency ending in _s, _ms or\n"
      "_us, and if wanted resolution, classes, channels.",
      "measurements", 1);
  line.add()("latency", po::value<std::string>()->default_value(""), "column to fit");
  line.add()("terms", po::value<std::string>()->default_value(""),
             "beside ridge point and peak: depthwise, overhead, floor");
  line.add()("ridge-point", po::value<double>(), "keep this one, fit the rest");
  line.add()("test", po::value<std::string>(), "table to predict instead of held-out parts");
  line.add()("space", po::value<std::string>(), "search space of the decisions");
  line.add()("dtype", po::value<std::string>()->default_value("int8"),
             "width of weights and activations: int8, bf16, fp16, fp32");
  line.add()("bytes", po::value<std::string>()->default_value("mnv4"),
             "mnv4, mnv4-adds, weights-out, out-only, aten or block-fused");
  line.add()("seed", po::value<int64_t>()->default_value(0), "of resamples and parts");
  line.add()("out", po::value<std::string>(), "profile to write");
  line.add()("json", "for machines");
  if (!line.parse(arguments)) return 0;
  Question question{.type = parse_data_type(line.get<std::string>("dtype")),
                    .convention = parse_byte_convention(line.get<std::string>("bytes")),
                    .terms = parse_terms(line.get<std::string>("terms")),
                    .ridge_point = {},
                    .space = {},
                    .seed = line.seed()};
  if (line.has("ridge-point")) {
    question.ridge_point = {line.get<double>("ridge-point")};
    if (!(question.ridge_point->value >= 0 && question.ridge_point->value <= 1e6)) {
      throw Error("--ridge-point must be from 0 to 1000000");
    }
  }
  if (line.has("space")) question.space = load_search_space(line.get<std::string>("space"));
  const std::string file = line.words()[0];
  const auto column = line.get<std::string>("latency");
  const Table table = read_table(file, column, question);
  const std::vector<Measured>& networks = table.networks;

  std::vector<const Measured*> all;
  for (const Measured& network : networks) all.push_back(&network);
  const Fit fitted = fit(all, question.terms, question.ridge_point);
  const bool is_tested = line.has("test");
  std::vector<Measured> test = networks;
  int shared = 0;  // of the test table, with the fitted ones
  if (is_tested) {
    const auto test_file = line.get<std::string>("test");
    const std::vector<Measured> given = read_table(test_file, column, question).networks;
    test = unseen(given, networks, test_file);
    shared = int(given.size() - test.size());
  }
  const HeldOut held_out =
      is_tested ? hold_out(networks, test, question.terms, question.ridge_point)
                : cross_validate(networks, question.terms, question.ridge_point, question.seed);

  Json result;
  result["table"] = file;
  result["latency"] = column;
  result["data_type"] = to_string(question.type);
  result["bytes"] = to_string(question.convention);
  result["networks"] = Json::array();
  for (size_t i = 0; i < test.size(); ++i) {
    const double measured = test[i].latency.value;
    const double predicted = fitted.predict(test[i].work).value;
    result["networks"].push_back({{"name", test[i].work.name},
                                  {"measured_ms", 1e3 * measured},
                                  {"fitted_ms", 1e3 * predicted},
                                  {"error", predicted / measured - 1},
                                  {"held_out_error", held_out.roofline[i] / measured - 1}});
  }
  result["protocol"] = is_tested ? fmt::format("fitted on {} networks, predicted {} others",
                                               networks.size(), test.size())
                       : networks.size() <= 60 ? "each network predicted by a fit of the others"
                                               : "each tenth predicted by a fit of the other nine";
  const std::vector<Judgement> judgements = judge_all(held_out, test, question.seed);
  result["held_out"] = judgements_json(judgements);
  result["fit"] = fit_json(fitted, question.terms);
  result["warnings"] = Json::array();
  if (!question.ridge_point) {
    const RidgeCertainty certainty = ridge_certainty(networks, question.terms, question.seed);
    result["ridge_point_interval"] = nullptr;
    if (const auto& interval = certainty.interval) {
      result["ridge_point_interval"] = {interval->low, interval->high};
    }
    result["ridge_point_is_determined"] = certainty.is_determined;
    if (!certainty.is_determined) {
      result["warnings"].push_back(fmt::format(
          "these latencies do not determine the ridge point: {}",
          certainty.interval
              ? "resamples of the networks give values more than a factor of two apart, or at the "
                "end of the search (0 to 1000)"
              : fmt::format("there are fewer than {} networks, or all resamples of them end at 0 "
                            "or 1000",
                            kFewestResampled)));
    } else if (!certainty.interval) {
      result["warnings"].push_back(
          "the ridge point has no interval: all resamples of the networks give the same");
    }
  }
  if (table.repeats > 0) {
    result["warnings"].push_back(
        fmt::format("{} rows measure a network again: each network counts once, with the median "
                    "of its latencies",
                    table.repeats));
  }
  if (shared > 0) {
    result["warnings"].push_back(fmt::format(
        "{} networks of the test table were left out, as the fit has seen them", shared));
  }
  if (table.not_measured > 0) {
    result["warnings"].push_back(
        fmt::format("{} rows have no measurement of this column", table.not_measured));
  }
  if (line.has("json")) {
    fmt::print("{}\n", result.dump(1));
  } else {
    print(result, judgements);
  }
  if (line.has("out")) {
    const auto out = line.get<std::string>("out");
    const std::string source =
        fmt::format("fitted by ridgewalk to {} networks of {} {}", networks.size(), file, column);
    write_file(out, to_yaml(profile_of(fitted, question, out, source)));
  }
  return 0;
}

}  // namespace ridgewalk
