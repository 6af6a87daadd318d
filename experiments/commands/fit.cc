#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/evidence/judgement.h"
#include "roofline/fit.h"
#include "roofline/measurements.h"
#include "space/catalog.h"
#include "space/decisions.h"
#include "space/error.h"
#include "space/lowering.h"
#include "space/number.h"
#include "space/suggestion.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

CommandLine fit_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "fit MEASUREMENTS.csv [--latency COLUMN] [--terms floor,...] [--out PROFILE.yaml]",
      "Ridge point and peak of a device from measured latencies, by least squares on relative\n"
      "error, judged on networks held out. The table's first line names its columns: network\n"
      "(catalogue name, YAML file, or decisions of --space), a latency ending in _s, _ms or\n"
      "_us, and optionally resolution, classes, channels.",
      "measurements", 1);
  line.add()("latency", po::value<std::string>()->default_value(""), "column to fit");
  line.add()("terms", po::value<std::string>()->default_value(""),
             "beside ridge point and peak: depthwise, overhead, floor");
  line.add_number<double>("ridge-point", 0, 1e6, "keep this one, fit the rest");
  line.add()("test", po::value<std::string>(), "table to predict instead of held-out parts");
  line.add()("space", po::value<std::string>(), "search space of the decisions");
  line.add()("dtype", po::value<std::string>()->default_value("int8"),
             "width of weights and activations: int8, bf16, fp16, fp32");
  line.add()("bytes", po::value<std::string>()->default_value("mnv4"),
             "mnv4, mnv4-adds, weights-out, out-only, aten or block-fused");
  line.add_seed("of resamples and parts", 0);
  line.add()("out", po::value<std::string>(), "profile to write");
  line.add()("json", "for machines");
  return line;
}

struct Question {
  std::string table;   // CSV
  std::string column;  // of the latencies; the only one if empty
  std::optional<std::string> test;
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
      throw Error("--terms: no term is named '" + part + "'; " +
                  suggestion(part, {"depthwise", "overhead", "floor"}));
    }
  }
  return terms;
}

Question question_of(const CommandLine& line) {
  Question question{
      .table = line.words()[0],
      .column = line.get<std::string>("latency"),
      .test = line.find<std::string>("test"),
      .type = option_named<DataType>("--dtype", line.get<std::string>("dtype")),
      .convention = option_named<ByteConvention>("--bytes", line.get<std::string>("bytes")),
      .terms = parse_terms(line.get<std::string>("terms")),
      .ridge_point = {},
      .space = {},
      .seed = line.seed()};
  if (const auto point = line.find<double>("ridge-point")) question.ridge_point = {*point};
  if (line.has("space")) question.space = load_search_space(line.get<std::string>("space"));
  return question;
}

Decisions parse_decisions(const std::string& text) {
  std::istringstream stream(text);
  Decisions decisions;
  for (std::string word; stream >> word;) {
    const std::optional<int64_t> decision = parse_whole(word);
    if (!decision || !std::in_range<int>(*decision)) {
      throw Error("decisions are whole numbers with spaces between: '" + text + "'");
    }
    decisions.push_back(int(*decision));
  }
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
  std::vector<Measured> networks;  // one row for each number of classes
  int not_measured = 0;
  int repeats = 0;  // rows of a network, with as many classes, that an earlier row has
};

// Each network once, with the median of its latencies.
Table read_table(const std::string& file, const Question& question) {
  const Measurements measurements = read_measurements(read_file(file), file, question.column);
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

// How many networks, whatever their numbers of classes.
size_t count_networks(const std::vector<Measured>& rows) {
  std::set<std::string> networks;
  for (const Measured& row : rows) networks.insert(row.network);
  return networks.size();
}

// The networks of a test table that the fit has not seen. Throws Error where fewer than 2 remain.
std::vector<Measured> unseen(const std::vector<Measured>& test, const std::vector<Measured>& fitted,
                             const std::string& file) {
  std::set<std::string> seen;
  for (const Measured& network : fitted) seen.insert(network.network);
  std::vector<Measured> kept;
  std::copy_if(test.begin(), test.end(), std::back_inserter(kept),
               [&](const Measured& network) { return !seen.contains(network.network); });
  if (const size_t count = count_networks(kept); count < 2) {
    throw Error(file, 0,
                fmt::format("has {} of {} networks that were not fitted; a test needs at least 2",
                            count, count_networks(test)));
  }
  return kept;
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

Json networks_json(const std::vector<Measured>& networks, const Fit& fitted,
                   const HeldOut& held_out) {
  Json rows = Json::array();
  for (size_t i = 0; i < networks.size(); ++i) {
    const double measured = networks[i].latency.value;
    const double predicted = fitted.predict(networks[i].work).value;
    rows.push_back({{"name", networks[i].work.name},
                    {"measured_ms", 1e3 * measured},
                    {"fitted_ms", 1e3 * predicted},
                    {"error", predicted / measured - 1},
                    {"held_out_error", held_out.roofline[i] / measured - 1}});
  }
  return rows;
}

std::string protocol_text(size_t fitted, std::optional<size_t> tested) {
  if (tested) return fmt::format("fitted on {} networks, predicted {} others", fitted, *tested);
  return fitted <= 60 ? "each network predicted by a fit of the others"
                      : "each tenth predicted by a fit of the other nine";
}

// The networks that a fit is judged on, and how many of the test table were fitted and left out.
struct Test {
  std::vector<Measured> networks;
  int left_out = 0;
};

Test test_of(const Table& table, const Question& question) {
  if (!question.test) return {table.networks};
  const std::vector<Measured> given = read_table(*question.test, question).networks;
  std::vector<Measured> kept = unseen(given, table.networks, *question.test);
  const int left_out = int(count_networks(given) - count_networks(kept));
  return {std::move(kept), left_out};
}

// The interval of a fitted ridge point, and a note where it is not determined.
void add_certainty(const RidgeCertainty& certainty, Json& result) {
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

void add_notes_on_rows(const Table& table, const Test& test, Json& result) {
  const auto note = [&](int count, const char* text) {
    if (count > 0) result["warnings"].push_back(fmt::format(fmt::runtime(text), count));
  };
  note(table.repeats,
       "{} rows measure a network again: each network counts once, with the median of its "
       "latencies");
  note(test.left_out, "{} networks of the test table were left out, as the fit has seen them");
  note(table.not_measured, "{} rows have no measurement of this column");
}

Json result_json(const Question& question, const Table& table, const Test& test, const Fit& fitted,
                 const HeldOut& held_out, const std::vector<Judgement>& judgements) {
  const std::optional<size_t> tested =
      question.test ? std::optional(count_networks(test.networks)) : std::nullopt;
  Json result = {{"table", question.table},
                 {"latency", question.column},
                 {"data_type", to_string(question.type)},
                 {"bytes", to_string(question.convention)},
                 {"networks", networks_json(test.networks, fitted, held_out)},
                 {"protocol", protocol_text(count_networks(table.networks), tested)},
                 {"held_out", judgements_json(judgements)},
                 {"fit", fit_json(fitted, question.terms)},
                 {"warnings", Json::array()}};
  if (!question.ridge_point) {
    add_certainty(ridge_certainty(table.networks, question.terms, question.seed), result);
  }
  add_notes_on_rows(table, test, result);
  return result;
}

void print_networks(const Json& networks) {
  fmt::print("{:<28} {:>12} {:>12} {:>8} {:>8}\n", "network", "measured ms", "fitted ms", "error %",
             "held out");
  for (const Json& network : networks) {
    fmt::print("{:<28} {:>12.4g} {:>12.4g} {:>+8.1f} {:>+8.1f}\n",
               network["name"].get<std::string>(), network["measured_ms"].get<double>(),
               network["fitted_ms"].get<double>(), 100 * network["error"].get<double>(),
               100 * network["held_out_error"].get<double>());
  }
}

void print_fit(const Json& result) {
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
}

void print(const Json& result, const std::vector<Judgement>& judgements) {
  print_networks(result["networks"]);
  fmt::print("\n{}\n{}", result["protocol"].get<std::string>(), judgements_table(judgements));
  print_fit(result);
  for (const Json& warning : result["warnings"]) {
    fmt::print("note: {}\n", warning.get<std::string>());
  }
}

Profile profile_of(const Fit& fitted, const Question& question, const std::string& out,
                   const std::string& source) {
  const bool has_peak = fitted.seconds_per_mac > 0;
  if (!has_peak && fitted.op_overhead.value == 0) {
    throw Error(
        "--out: one latency for all networks explains these best; such a profile is of no use");
  }
  Profile profile{.name = std::filesystem::path(out).stem().string(),
                  .description = source,
                  .data_type = question.type,
                  .peak_gmacs = {},
                  .bandwidth_gbps = {},
                  .given_ridge_point = {},
                  .effective_ridge_point = {},
                  .effective_peak_gmacs = {},
                  .terms = {}};
  if (has_peak) {
    profile.effective_ridge_point = Sourced{fitted.ridge_point.value, source};
    profile.effective_peak_gmacs = Sourced{1e-9 / fitted.seconds_per_mac, source};
    if (question.terms.depthwise_cost) {
      profile.terms.depthwise_cost = {fitted.depthwise_cost, source};
    }
  }
  if (question.terms.op_overhead) {
    profile.terms.op_overhead_us = {1e6 * fitted.op_overhead.value, source};
  }
  if (question.terms.floor) profile.terms.floor_ms = {1e3 * fitted.floor.value, source};
  return profile;
}

}  // namespace

int fit_command(const Arguments& arguments) {
  CommandLine line = fit_line();
  if (!line.parse(arguments)) return 0;
  const Question question = question_of(line);
  const Table table = read_table(question.table, question);
  const std::vector<Measured>& networks = table.networks;
  std::vector<const Measured*> all;
  for (const Measured& network : networks) all.push_back(&network);
  const Fit fitted = fit(all, question.terms, question.ridge_point);
  const Test test = test_of(table, question);
  const HeldOut held_out =
      question.test ? hold_out(networks, test.networks, question.terms, question.ridge_point)
                    : cross_validate(networks, question.terms, question.ridge_point, question.seed);
  const std::vector<Judgement> judgements = judge_all(held_out, test.networks, question.seed);
  const Json result = result_json(question, table, test, fitted, held_out, judgements);
  if (line.has("json")) {
    fmt::print("{}\n", result.dump(1));
  } else {
    print(result, judgements);
  }
  if (const auto out = line.find<std::string>("out")) {
    const std::string source =
        fmt::format("fitted by ridgewalk to {} networks of {} {}", count_networks(networks),
                    question.table, question.column);
    write_file(*out, to_yaml(profile_of(fitted, question, *out, source)));
  }
  return 0;
}

}  // namespace ridgewalk
