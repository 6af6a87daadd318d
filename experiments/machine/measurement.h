// Predicted and measured latency side by side, on this machine.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/run/run_folder.h"
#include "roofline/intervals.h"
#include "roofline/profile.h"
#include "space/architecture.h"

namespace ridgewalk {

struct MeasuredNetwork {
  std::string name;
  double macs = 0;
  double predicted_ms = 0;             // by the laws of the profile's ops
  double roofline_ms = 0;              // by its ridge point and peak alone
  std::vector<double> passes_ms = {};  // one latency per pass over all networks
  // Kinds of op that the profile has no law for; the prediction is then a lower bound.
  std::vector<std::string> unknown = {};

  double measured_ms() const { return quantile(passes_ms, 0.5); }
};

struct MeasuredNetworks {
  std::string profile, profile_machine;  // name, and the CPU that it was made on
  std::string machine;                   // the CPU that was measured
  int threads = 1;
  DataType data_type = DataType::kFp32;
  // How many times as long as in the profile the probe network takes now.
  std::optional<double> drift = {};
  std::vector<MeasuredNetwork> networks = {};
};

// Of the intervals of an agreement.
inline constexpr double kAgreementCoverage = 0.9;
// "0.943 [0.812, 0.991]", without an interval "0.943", without a value "-".
std::string spearman_text(const NetworkAgreement& agreement);

// How predictions meet the measurements, by the name of what predicts:
//   laws              the laws of the profile's ops
//   drifted           these times the drift, where it is known
//   roofline          its ridge point and peak alone
//   macs              one constant times MACs, fitted to these very networks
//   twice             the second pass, as a prediction of the first
//   twice_less_drift  the same, with the median of their ratios taken out
// Empty for fewer than three networks, which say nothing.
std::vector<std::pair<std::string, NetworkAgreement>> agreements(const MeasuredNetworks& measured);

// Measures each network five times, all networks in turn, with the threads and in the data type of
// a calibrated profile. Throws Error when the profile has no laws, predicts no time, or is for
// fp16, and when two networks differ only in their names.
MeasuredNetworks measure_networks(const std::vector<Architecture>& networks, const Profile& profile,
                                  bool quiet);

// What it measures in. Throws Error for a profile of fp16, which no code here computes in.
DataType measured_precision(const Profile& profile);

// The same, where networks may be alike: each is measured once, under all its names. Leaves the
// number of threads as it was.
MeasuredNetworks measure_distinct(const std::vector<Architecture>& networks, const Profile& profile,
                                  bool quiet);

// {profile, profile_machine, machine, threads, data_type, drift,
//  networks: [{name, macs, predicted_ms, roofline_ms, measured_ms, passes_ms, unknown}],
//  agreement: {laws: {spearman, ...}, ...}}
Json measured_json(const MeasuredNetworks& measured);
MeasuredNetworks measured_from_json(const Json& json);

// Columns network,macs,predicted_ms,lower_bound,roofline_ms,measured_ms,pass_1_ms, ...; `names` has
// one per network for the first column (names_in_table()).
std::string measured_csv(const MeasuredNetworks& measured, const std::vector<std::string>& names);

// One line per network, and the agreement.
std::string measured_table(const MeasuredNetworks& measured);

}  // namespace ridgewalk
