#include "experiments/machine/measurement.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <string_view>
#include <utility>

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "experiments/machine/calibration.h"
#include "experiments/run/counted.h"
#include "experiments/run/csv.h"
#include "experiments/run/progress.h"
#include "roofline/latency_model.h"
#include "space/error.h"
#include "space/lowering.h"
#include "supernet/inference/peaks.h"

namespace ridgewalk {
namespace {

// Over all networks in turn, so that a busy moment of the machine does not make up all of one
// network's time.
constexpr int kPasses = 5;
constexpr size_t kFewest = 3;  // networks whose agreement means anything

Json agreement_json(const NetworkAgreement& a) {
  const auto rank = [](double value) { return std::isnan(value) ? Json() : Json(value); };
  const auto& interval = a.spearman_interval;
  return {{"spearman", rank(a.spearman)},
          {"spearman_interval", interval ? Json{interval->low, interval->high} : Json()},
          {"kendall_tau_b", rank(a.kendall_tau_b)},
          {"mean_error", a.mean_error},
          {"median_error", a.median_error},
          {"within_5", a.within_5},
          {"within_10", a.within_10},
          {"within_20", a.within_20}};
}

std::vector<double> times(std::vector<double> values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

// A function of each network.
template <class Figure>
std::vector<double> column(const MeasuredNetworks& measured, Figure figure) {
  std::vector<double> values;
  for (const MeasuredNetwork& network : measured.networks) {
    values.push_back(std::invoke(figure, network));
  }
  return values;
}

const char* title_of(const std::string& prediction) {
  constexpr std::pair<std::string_view, const char*> kTitles[] = {
      {"laws", "laws of the profile's ops"},
      {"drifted", "the same, times the drift"},
      {"roofline", "its roofline alone"},
      {"macs", "MACs times the best constant"},
      {"twice", "the same network measured twice"},
      {"twice_less_drift", "the same, less the drift in between"}};
  for (const auto& [name, title] : kTitles) {
    if (name == prediction) return title;
  }
  return "";
}

std::string agreement_table(const MeasuredNetworks& measured) {
  std::string text =
      fmt::format("{:<37} {:>22} {:>10} {:>12} {:>12} {:>12} {:>12}\n",
                  counted(int64_t(measured.networks.size()), "network"), "Spearman", "mean error",
                  "within 5 %", "within 10 %", "within 20 %", "median error");
  std::set<std::string_view> methods;
  for (const auto& [name, a] : agreements(measured)) {
    text +=
        fmt::format("{:<37} {:>22} {:>8.1f} % {:>10.0f} % {:>10.0f} % {:>10.0f} % {:>10.1f} %\n",
                    title_of(name), spearman_text(a), 100 * a.mean_error, 100 * a.within_5,
                    100 * a.within_10, 100 * a.within_20, 100 * a.median_error);
    if (a.spearman_interval) methods.insert(description(a.spearman_interval->method));
  }
  if (methods.empty()) return text;
  return text + fmt::format("brackets: {:.0f} % intervals: {}\n", 100 * kAgreementCoverage,
                            fmt::join(methods, "; "));
}

// One network is one draw of an agreement, under however many names.
void refuse_twins(const std::vector<Architecture>& architectures) {
  for (size_t i = 0; i < architectures.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      Architecture renamed = architectures[i];
      renamed.name = architectures[j].name;
      if (renamed != architectures[j]) continue;
      throw Error(architectures[i].name, 0,
                  "is the same network as '" + renamed.name + "'; give one of them");
    }
  }
}

// Nothing measured yet.
MeasuredNetwork predicted(const Architecture& architecture, const Profile& profile) {
  const Graph graph = lower(architecture);
  const CalibratedLatency by_laws = predict_by_laws(graph, profile);
  if (!(by_laws.total.value > 0)) {
    throw Error("profile '" + profile.name + "' predicts no time for '" + architecture.name +
                "'; calibrate again");
  }
  const LatencyModel plain = latency_model(profile, std::nullopt, false);
  return {.name = architecture.name,
          .macs = network_cost(graph).macs.value,
          .predicted_ms = 1e3 * by_laws.total.value,
          .roofline_ms = 1e3 * predict(graph, plain).total().value,
          .unknown = by_laws.unknown};
}

}  // namespace

DataType measured_precision(const Profile& profile) {
  if (profile.data_type != DataType::kFp16) return profile.data_type;
  throw Error(
      "profile '" + profile.name +
      "' is for fp16, which is not measured: calibrate with --precision fp32, bf16 or int8");
}

std::string spearman_text(const NetworkAgreement& agreement) {
  if (std::isnan(agreement.spearman)) return "-";
  const auto& interval = agreement.spearman_interval;
  return fmt::format("{:.3f}", agreement.spearman) +
         (interval ? fmt::format(" [{:.3f}, {:.3f}]", interval->low, interval->high) : "");
}

std::vector<std::pair<std::string, NetworkAgreement>> agreements(const MeasuredNetworks& measured) {
  if (measured.networks.size() < kFewest) return {};
  const std::vector<double> latency = column(measured, &MeasuredNetwork::measured_ms);
  const std::vector<double> laws = column(measured, &MeasuredNetwork::predicted_ms);
  const std::vector<double> macs = column(measured, &MeasuredNetwork::macs);
  const auto pass = [&](size_t i) {
    return column(measured, [i](const MeasuredNetwork& network) { return network.passes_ms[i]; });
  };
  const std::vector<double> first = pass(0), second = pass(1);
  std::vector<double> ratios;
  for (size_t i = 0; i < first.size(); ++i) ratios.push_back(first[i] / second[i]);

  std::vector<std::pair<std::string, NetworkAgreement>> result;
  const auto add = [&](const char* name, const std::vector<double>& predictions,
                       const std::vector<double>& of) {
    result.emplace_back(name, network_agreement(predictions, of, kAgreementCoverage));
  };
  add("laws", laws, latency);
  if (measured.drift) add("drifted", times(laws, *measured.drift), latency);
  add("roofline", column(measured, &MeasuredNetwork::roofline_ms), latency);
  add("macs", times(macs, best_factor(macs, latency)), latency);
  add("twice", second, first);
  add("twice_less_drift", times(second, quantile(ratios, 0.5)), first);
  return result;
}

MeasuredNetworks measure_networks(const std::vector<Architecture>& architectures,
                                  const Profile& profile, bool quiet) {
  const TimingOptions options{.threads = std::max(1, profile.threads), .repeats = 3};
  const DataType precision = measured_precision(profile);
  refuse_twins(architectures);
  MeasuredNetworks measured{.profile = profile.name,
                            .profile_machine = profile.machine,
                            .machine = cpu_name(),
                            .threads = options.threads,
                            .data_type = profile.data_type};
  for (const Architecture& architecture : architectures) {
    measured.networks.push_back(predicted(architecture, profile));
  }
  Progress progress("measure", 0, kPasses * int(architectures.size()), 0, quiet);
  std::vector<double> probes;  // times that of the profile
  int done = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    for (size_t i = 0; i < architectures.size(); ++i) {
      progress.update(done, architectures[i].name);
      if (done++ % kProbeEvery == 0 && profile.probe_ms) {
        probes.push_back(1e3 * time_probe(precision, options) / profile.probe_ms->value);
      }
      const TimedNetwork timed = time_network(architectures[i], precision, options);
      measured.networks[i].passes_ms.push_back(1e3 * timed.timing.median_seconds);
    }
  }
  if (!probes.empty()) measured.drift = quantile(probes, 0.5);
  return measured;
}

MeasuredNetworks measure_distinct(const std::vector<Architecture>& networks, const Profile& profile,
                                  bool quiet) {
  std::vector<Architecture> distinct;
  std::vector<size_t> places;  // of each network among the distinct ones
  for (const Architecture& network : networks) {
    const auto found =
        std::find_if(distinct.begin(), distinct.end(), [&](const Architecture& other) {
          Architecture renamed = network;
          renamed.name = other.name;
          return renamed == other;
        });
    places.push_back(size_t(found - distinct.begin()));
    if (found == distinct.end()) distinct.push_back(network);
  }
  const int threads = at::get_num_threads();
  MeasuredNetworks measured = measure_networks(distinct, profile, quiet);
  at::set_num_threads(threads);
  const std::vector<MeasuredNetwork> once = std::move(measured.networks);
  measured.networks.clear();
  for (size_t i = 0; i < networks.size(); ++i) {
    measured.networks.push_back(once[places[i]]);
    measured.networks.back().name = networks[i].name;
  }
  return measured;
}

MeasuredNetworks measured_from_json(const Json& json) {
  MeasuredNetworks measured{
      .profile = json.at("profile"),
      .profile_machine = json.at("profile_machine"),
      .machine = json.at("machine"),
      .threads = json.at("threads"),
      .data_type = value_named<DataType>(json.at("data_type").get<std::string>()),
      .drift = value_or_nothing<double>(json.at("drift"))};
  for (const Json& network : json.at("networks")) {
    measured.networks.push_back({.name = network.at("name"),
                                 .macs = network.at("macs"),
                                 .predicted_ms = network.at("predicted_ms"),
                                 .roofline_ms = network.at("roofline_ms"),
                                 .passes_ms = network.at("passes_ms").get<std::vector<double>>(),
                                 .unknown = network.at("unknown").get<std::vector<std::string>>()});
  }
  return measured;
}

Json measured_json(const MeasuredNetworks& measured) {
  Json networks = Json::array();
  for (const MeasuredNetwork& network : measured.networks) {
    networks.push_back({{"name", network.name},
                        {"macs", network.macs},
                        {"predicted_ms", network.predicted_ms},
                        {"roofline_ms", network.roofline_ms},
                        {"measured_ms", network.measured_ms()},
                        {"passes_ms", network.passes_ms},
                        {"unknown", network.unknown}});
  }
  Json agreement = Json::object();
  for (const auto& [name, figures] : agreements(measured))
    agreement[name] = agreement_json(figures);
  return {{"profile", measured.profile},
          {"profile_machine", measured.profile_machine},
          {"machine", measured.machine},
          {"threads", measured.threads},
          {"data_type", to_string(measured.data_type)},
          {"drift", measured.drift ? Json(*measured.drift) : Json()},
          {"networks", networks},
          {"agreement", agreement}};
}

std::string measured_csv(const MeasuredNetworks& measured, const std::vector<std::string>& names) {
  std::string csv = "network,macs,predicted_ms,lower_bound,roofline_ms,measured_ms";
  for (int pass = 1; pass <= kPasses; ++pass) csv += fmt::format(",pass_{}_ms", pass);
  for (size_t i = 0; i < names.size(); ++i) {
    const MeasuredNetwork& network = measured.networks[i];
    csv += fmt::format("\n{},{:.0f},{},{},{},{}", csv_quoted(names[i]), network.macs,
                       network.predicted_ms, network.unknown.empty() ? 0 : 1, network.roofline_ms,
                       network.measured_ms());
    for (double pass : network.passes_ms) csv += fmt::format(",{}", pass);
  }
  return csv + "\n";
}

std::string measured_table(const MeasuredNetworks& measured) {
  std::string text = fmt::format("{:<30} {:>14} {:>13} {:>12} {:>8} {:>8}\n", "network", "MACs",
                                 "predicted ms", "measured ms", "error", "again");
  std::set<std::string> unknown;
  for (const MeasuredNetwork& network : measured.networks) {
    const double latency = network.measured_ms();
    text += fmt::format(
        "{:<30} {:>14.0f} {:>13} {:>12.4g} {:>+6.1f} % {:>+6.1f} %\n", network.name, network.macs,
        fmt::format("{}{:.4g}", network.unknown.empty() ? "" : ">= ", network.predicted_ms),
        latency, 100 * (network.predicted_ms / latency - 1),
        100 * (network.passes_ms[1] / network.passes_ms[0] - 1));
    unknown.insert(network.unknown.begin(), network.unknown.end());
  }
  if (measured.networks.size() >= kFewest) text += "\n" + agreement_table(measured);
  if (measured.drift) {
    text += fmt::format(
        "\nDrift: mnv4-conv-medium takes {:.3f} times as long as when the profile was made\n",
        *measured.drift);
  }
  if (!unknown.empty()) {
    text += fmt::format("\n>= : a lower bound, since the profile has no law for {}\n",
                        fmt::join(unknown, ", "));
  }
  if (measured.machine != measured.profile_machine) {
    text += fmt::format("\nThe profile is of another machine ({}) than this ({})\n",
                        measured.profile_machine, measured.machine);
  }
  return text;
}

}  // namespace ridgewalk
