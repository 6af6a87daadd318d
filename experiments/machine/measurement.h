// Predicted and measured latency side by side, on this machine.
#pragma once

#include <string>
#include <vector>

#include "experiments/run/run_folder.h"
#include "roofline/profile.h"
#include "space/architecture.h"

namespace ridgewalk {

// Measures each network five times, all networks in turn, with the threads and in the data type of
// a calibrated profile. The latency is the median of the five. Gives
//   profile, profile_machine, machine, threads, data_type,
//   networks: [{name, macs, predicted_ms, roofline_ms, measured_ms, passes_ms, unknown}]
//   drift: how many times as long as in the profile the probe takes now, or null
//   agreement: {laws, drifted, roofline, macs, twice, twice_less_drift}, of each Agreement's
//     figures; empty for fewer than three networks
// where `unknown` lists the kinds of op that the profile has no law for (the prediction is then a
// lower bound), `drifted` is the laws' times the drift, `roofline` is the plain one with the
// profile's ridge point and peak, `macs` is one constant times MACs, fitted to these very networks,
// `twice` holds the second pass against the first, and `twice_less_drift` does after the median of
// their ratios is taken out. Throws Error when the profile has no laws, predicts no time, or is for
// another data type than fp32 and bf16.
Json measure_networks(const std::vector<Architecture>& networks, const Profile& profile,
                      bool quiet);

// Columns network,macs,predicted_ms,lower_bound,roofline_ms,measured_ms,pass_1_ms, ...; `names` has
// one per network for the first column (names_in_table()).
std::string measured_csv(const Json& measured, const std::vector<std::string>& names);

// A line a network, and the agreement.
std::string measured_table(const Json& measured);

}  // namespace ridgewalk
