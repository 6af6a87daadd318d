#include "experiments/machine/measurement.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "experiments/machine/calibration.h"
#include "experiments/run/csv.h"
#include "experiments/run/progress.h"
#include "roofline/latency_model.h"
#include "space/error.h"
#include "space/lowering.h"
#include "supernet/inference/peaks.h"

namespace ridgewalk {
namespace {

// Over the networks in turn, so that no moment of a busy machine is the whole of one's time.
constexpr int kPasses = 5;
constexpr size_t kFewest = 3;  // networks whose agreement says anything

DataType precision_of(const Profile& profile) {
  if (profile.data_type == DataType::kFp32 || profile.data_type == DataType::kBf16) {
    return profile.data_type;
  }
  throw Error("profile '" + profile.name + "' is for " + std::string(to_string(profile.data_type)) +
              ": only fp32 and bf16 are measured; calibrate with --precision fp32 or bf16");
}

Json agreement_json(const std::vector<double>& predicted, const std::vector<double>& measured) {
  const Agreement a = agreement(predicted, measured);
  const auto rank = [](double value) { return std::isnan(value) ? Json() : Json(value); };
  return {{"spearman", rank(a.spearman)}, {"kendall_tau_b", rank(a.kendall_tau_b)},
          {"mean_error", a.mean_error},   {"median_error", a.median_error},
          {"within_5", a.within_5},       {"within_10", a.within_10},
          {"within_20", a.within_20}};
}

std::vector<double> column(const Json& networks, const char* name) {
  std::vector<double> values;
  for (const Json& network : networks) values.push_back(network[name].get<double>());
  return values;
}

Json agreements(const Json& networks, const Json& drift) {
  const std::vector<double> predicted = column(networks, "predicted_ms");
  const std::vector<double> measured = column(networks, "measured_ms");
  const auto times = [](std::vector<double> values, double factor) {
    for (double& value : values) value *= factor;
    return values;
  };
  Json result = {{"laws", agreement_json(predicted, measured)}};
  if (!drift.is_null()) {
    result["drifted"] = agreement_json(times(predicted, drift.get<double>()), measured);
  }
  result["roofline"] = agreement_json(column(networks, "roofline_ms"), measured);
  const std::vector<double> macs = column(networks, "macs");
  result["macs"] = agreement_json(times(macs, best_factor(macs, measured)), measured);
  std::vector<double> first, second, ratios;
  for (const Json& network : networks) {
    first.push_back(network["passes_ms"][0].get<double>());
    second.push_back(network["passes_ms"][1].get<double>());
    ratios.push_back(first.back() / second.back());
  }
  result["twice"] = agreement_json(second, first);
  result["twice_less_drift"] = agreement_json(times(second, quantile(ratios, 0.5)), first);
  return result;
}

std::string agreement_table(const Json& measured) {
  std::string text =
      fmt::format("{:<37} {:>8} {:>10} {:>12} {:>12} {:>12} {:>12}\n",
                  fmt::format("{} networks", measured["networks"].size()), "Spearman", "mean error",
                  "within 5 %", "within 10 %", "within 20 %", "median error");
  for (const auto& [key, name] : {std::pair("laws", "laws of the profile's ops"),
                                  {"drifted", "the same, times the drift"},
                                  {"roofline", "its roofline alone"},
                                  {"macs", "MACs times the best constant"},
                                  {"twice", "the same network measured twice"},
                                  {"twice_less_drift", "the same, less the drift in between"}}) {
    if (!measured["agreement"].contains(key)) continue;
    const Json& a = measured["agreement"][key];
    const auto percent = [&](const char* figure) { return 100 * a[figure].get<double>(); };
    text += fmt::format(
        "{:<37} {:>8} {:>8.1f} % {:>10.0f} % {:>10.0f} % {:>10.0f} % {:>10.1f} %\n", name,
        a["spearman"].is_null() ? "-" : fmt::format("{:.3f}", a["spearman"].get<double>()),
        percent("mean_error"), percent("within_5"), percent("within_10"), percent("within_20"),
        percent("median_error"));
  }
  return text;
}

}  // namespace

Json measure_networks(const std::vector<Architecture>& architectures, const Profile& profile,
                      bool quiet) {
  const TimingOptions options{.threads = std::max(1, profile.threads), .repeats = 3};
  const DataType precision = precision_of(profile);
  const LatencyModel plain = latency_model(profile, std::nullopt, false);
  Json networks = Json::array();
  for (const Architecture& architecture : architectures) {
    const Graph graph = lower(architecture);
    const CalibratedLatency predicted = predict_by_laws(graph, profile);
    if (!(predicted.total.value > 0)) {
      throw Error("profile '" + profile.name + "' predicts no time for '" + architecture.name +
                  "'; calibrate anew");
    }
    networks.push_back({{"name", architecture.name},
                        {"macs", network_cost(graph).macs.value},
                        {"predicted_ms", 1e3 * predicted.total.value},
                        {"roofline_ms", 1e3 * predict(graph, plain).total().value},
                        {"measured_ms", 0},
                        {"passes_ms", Json::array()},
                        {"unknown", predicted.unknown}});
  }
  Progress progress("measure", 0, kPasses * int(networks.size()), 0, quiet);
  std::vector<double> probes;  // over the profile's
  int done = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    for (size_t i = 0; i < architectures.size(); ++i) {
      progress.update(done, architectures[i].name);
      if (done++ % kProbeEvery == 0 && profile.probe_ms) {
        probes.push_back(1e3 * time_probe(precision, options) / profile.probe_ms->value);
      }
      const TimedNetwork timed = time_network(architectures[i], precision, options);
      networks[i]["passes_ms"].push_back(1e3 * timed.timing.median_seconds);
    }
  }
  for (Json& network : networks) {
    network["measured_ms"] = quantile(network["passes_ms"].get<std::vector<double>>(), 0.5);
  }
  Json result = {{"profile", profile.name},
                 {"profile_machine", profile.machine},
                 {"machine", cpu_name()},
                 {"threads", options.threads},
                 {"data_type", to_string(profile.data_type)},
                 {"drift", nullptr},
                 {"networks", networks},
                 {"agreement", Json::object()}};
  if (!probes.empty()) result["drift"] = quantile(probes, 0.5);
  if (networks.size() >= kFewest) result["agreement"] = agreements(networks, result["drift"]);
  return result;
}

std::string measured_csv(const Json& measured, const std::vector<std::string>& names) {
  std::string csv = "network,macs,predicted_ms,lower_bound,roofline_ms,measured_ms";
  for (int pass = 1; pass <= kPasses; ++pass) csv += fmt::format(",pass_{}_ms", pass);
  for (size_t i = 0; i < names.size(); ++i) {
    const Json& network = measured["networks"][i];
    const auto ms = [&](const char* name) { return network[name].get<double>(); };
    csv +=
        fmt::format("\n{},{:.0f},{},{},{},{}", csv_quoted(names[i]), ms("macs"), ms("predicted_ms"),
                    network["unknown"].empty() ? 0 : 1, ms("roofline_ms"), ms("measured_ms"));
    for (const Json& pass : network["passes_ms"]) csv += fmt::format(",{}", pass.get<double>());
  }
  return csv + "\n";
}

std::string measured_table(const Json& measured) {
  std::string text = fmt::format("{:<30} {:>14} {:>13} {:>12} {:>8} {:>8}\n", "network", "MACs",
                                 "predicted ms", "measured ms", "error", "again");
  std::set<std::string> unknown;
  for (const Json& network : measured["networks"]) {
    const double latency = network["measured_ms"].get<double>();
    const double predicted = network["predicted_ms"].get<double>();
    const bool is_bound = !network["unknown"].empty();
    text += fmt::format(
        "{:<30} {:>14.0f} {:>13} {:>12.4g} {:>+6.1f} % {:>+6.1f} %\n",
        network["name"].get<std::string>(), network["macs"].get<double>(),
        fmt::format("{}{:.4g}", is_bound ? ">= " : "", predicted), latency,
        100 * (predicted / latency - 1),
        100 * (network["passes_ms"][1].get<double>() / network["passes_ms"][0].get<double>() - 1));
    for (const Json& kind : network["unknown"]) unknown.insert(kind.get<std::string>());
  }
  if (!measured["agreement"].empty()) text += "\n" + agreement_table(measured);
  if (!measured["drift"].is_null()) {
    text += fmt::format(
        "\nDrift: mnv4-conv-medium takes {:.3f} times as long as when the profile was made\n",
        measured["drift"].get<double>());
  }
  if (!unknown.empty()) {
    text += fmt::format("\n>= : a lower bound, since the profile has no law for {}\n",
                        fmt::join(unknown, ", "));
  }
  if (measured["machine"] != measured["profile_machine"]) {
    text += fmt::format("\nThe profile is of another machine ({}) than this ({})\n",
                        measured["profile_machine"].get<std::string>(),
                        measured["machine"].get<std::string>());
  }
  return text;
}

}  // namespace ridgewalk
