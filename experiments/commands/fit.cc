#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
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

Architecture architecture_of(const Measurement& row, const Question& question) {
  Architecture architecture = question.space ? decode(*question.space, parse_decisions(row.network))
                                             : find_architecture(row.network);
  if (row.resolution) architecture.resolution = *row.resolution;
  if (row.channels) architecture.channels = *row.channels;
  if (row.classes) architecture.classes = *row.classes;
  validate(architecture);
  return architecture;
}

struct Table {
  std::vector<Measured> networks;
  int not_measured = 0;
};

Table read_table(const std::string& file, const std::string& column, const Question& question) {
  const Measurements measurements = read_measurements(read_file(file), file, column);
  Table table{.networks = {}, .not_measured = measurements.not_measured};
  for (const Measurement& row : measurements.rows) {
    try {
      table.networks.push_back({network_work(row.network, lower(architecture_of(row, question)),
                                             question.type, question.convention),
                                row.latency});
    } catch (const Error& error) {
      throw Error(file, row.line, error.what());
    }
  }
  return table;
}

std::vector<double> latencies(const std::vector<Measured>& networks) {
  std::vector<double> values;
  for (const Measured& network : networks) values.push_back(network.latency.value);
  return values;
}

// {spearman: {value, low, high}, ...}; rank correlations of a constant are left out.
Json agreement_json(const std::vector<double>& predicted, const std::vector<double>& measured,
                    bool has_ranks, uint64_t seed) {
  struct Figure {
    const char* name;
    double Agreement::*field;
    bool is_rank;
  };
  constexpr Figure kFigures[] = {{"spearman", &Agreement::spearman, true},
                                 {"kendall_tau_b", &Agreement::kendall_tau_b, true},
                                 {"mean_error", &Agreement::mean_error, false},
                                 {"median_error", &Agreement::median_error, false},
                                 {"within_10_percent", &Agreement::within_10, false}};
  const Agreement whole = agreement(predicted, measured);
  const std::vector<Agreement> resampled =
      resampled_agreement(predicted, measured, kResamples, seed);
  Json result;
  for (const Figure& figure : kFigures) {
    if (figure.is_rank && !has_ranks) {
      result[figure.name] = nullptr;
      continue;
    }
    std::vector<double> values;
    for (const Agreement& one : resampled) values.push_back(one.*figure.field);
    const Interval interval = middle(values, kCoverage);
    result[figure.name] = {
        {"value", whole.*figure.field}, {"low", interval.low}, {"high", interval.high}};
  }
  return result;
}

Json held_out_json(const HeldOut& held_out, const std::vector<double>& measured, uint64_t seed) {
  Json result;
  result["roofline"] = agreement_json(held_out.roofline, measured, true, seed);
  for (size_t b = 0; b < std::size(kBaselines); ++b) {
    result[std::string(to_string(kBaselines[b]))] =
        agreement_json(held_out.baselines[b], measured, kBaselines[b] != Baseline::kConstant, seed);
  }
  return result;
}

std::string figure_text(const Json& figure, bool as_percent) {
  if (figure.is_null() || figure["value"].is_null()) return fmt::format("{:>23}", "-");
  const auto value = [&](const char* name) { return figure[name].get<double>(); };
  const double scale = as_percent ? 100 : 1;
  const char* form = as_percent ? "{:.1f} [{:.1f}, {:.1f}]" : "{:.3f} [{:.3f}, {:.3f}]";
  return fmt::format("{:>23}", fmt::format(fmt::runtime(form), scale * value("value"),
                                           scale * value("low"), scale * value("high")));
}

void print(const Json& result) {
  fmt::print("{:<28} {:>12} {:>12} {:>8} {:>8}\n", "network", "measured ms", "fitted ms", "error %",
             "held out");
  for (const Json& network : result["networks"]) {
    fmt::print("{:<28} {:>12.4g} {:>12.4g} {:>+8.1f} {:>+8.1f}\n",
               network["name"].get<std::string>(), network["measured_ms"].get<double>(),
               network["fitted_ms"].get<double>(), 100 * network["error"].get<double>(),
               100 * network["held_out_error"].get<double>());
  }
  fmt::print(
      "\n{}: brackets hold {:.0f} % of {} bootstrap "
      "resamples\n{:<16}{:>23}{:>23}{:>23}{:>23}{:>23}\n",
      result["protocol"].get<std::string>(), 100 * kCoverage, kResamples, "", "Spearman",
      "Kendall tau-b", "mean error %", "median error %", "within 10 %");
  for (const auto& [name, figures] : result["held_out"].items()) {
    fmt::print("{:<16}{}{}{}{}{}\n", name, figure_text(figures["spearman"], false),
               figure_text(figures["kendall_tau_b"], false),
               figure_text(figures["mean_error"], true), figure_text(figures["median_error"], true),
               figure_text(figures["within_10_percent"], true));
  }
  const Json& fitted = result["fit"];
  fmt::print("\nridge point      {:.4g} MACs/byte", fitted["ridge_point"].get<double>());
  if (result.contains("ridge_point_interval")) {
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
  const std::vector<Measured> test =
      is_tested ? read_table(line.get<std::string>("test"), column, question).networks : networks;
  if (test.size() < 2) throw Error("two networks at least are needed to judge a fit");
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
  result["held_out"] = held_out_json(held_out, latencies(test), question.seed);
  result["fit"] = fit_json(fitted, question.terms);
  result["warnings"] = Json::array();
  if (!question.ridge_point) {
    const RidgeCertainty certainty = ridge_certainty(networks, question.terms, question.seed);
    result["ridge_point_interval"] = {certainty.interval.low, certainty.interval.high};
    result["ridge_point_is_determined"] = certainty.is_determined;
    if (!certainty.is_determined) {
      result["warnings"].push_back(
          "these latencies do not determine the ridge point: resamples of the networks give "
          "values more than a factor of two apart, or at the end of the search (0 to 1000)");
    }
  }
  if (table.not_measured > 0) {
    result["warnings"].push_back(
        fmt::format("{} rows have no measurement of this column", table.not_measured));
  }
  if (line.has("json")) {
    fmt::print("{}\n", result.dump(1));
  } else {
    print(result);
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
