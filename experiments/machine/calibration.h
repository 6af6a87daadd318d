// This machine as a profile: bare figures, and how long the ops of random networks take on it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roofline/intervals.h"
#include "roofline/op_law.h"
#include "roofline/profile.h"
#include "space/architecture.h"
#include "supernet/inference/timing.h"

namespace ridgewalk {

// The same networks for the same seed, all different. Half of them are random members of `mobile`,
// a quarter of `fashion-mnist`, and a quarter networks of the catalogue at random width multipliers
// and resolutions: every kind of op that the catalogue and the spaces know, at shapes that they
// contain.
std::vector<Architecture> calibration_networks(int count, uint64_t seed);

struct TimedNetwork {
  Graph graph;   // as lowered
  Graph folded;  // the steps' ops are indices in it
  Timing timing;
};

// With fresh weights, for one image; in int8 quantised by the ranges of random images.
TimedNetwork time_network(const Architecture& architecture, DataType precision,
                          const TimingOptions& options);

// A machine is faster on some days than on others: how long mnv4-conv-medium takes now, in seconds.
inline constexpr int kProbeEvery = 10;  // networks
double time_probe(DataType precision, const TimingOptions& options);

struct TimedNetworks {
  std::vector<TimedNetwork> networks;
  std::vector<double> probes;  // seconds
};

// All networks in turn, three times; each with its median pass.
TimedNetworks time_networks(const std::vector<Architecture>& architectures, DataType precision,
                            const TimingOptions& options, bool quiet);

// The pass whose latency is the median: of an even number the slower of the two in the middle.
Timing median_pass(std::vector<Timing> passes);

// The effective ridge point and peak that fit the latencies as wholes.
void fit_effective(const std::vector<TimedNetwork>& networks, const std::string& source,
                   Profile& profile);

// Each network's steps are scaled to sum to its latency as a whole. The spreads of the laws'
// figures are over resamples of the networks with replacement (Efron's bootstrap, 1979).
std::vector<OpLaw> fit_op_laws(const std::vector<TimedNetwork>& networks, DataType type,
                               const ReadBandwidths& bandwidths, int resamples = 0,
                               uint64_t seed = 0);

// How well laws of three quarters of the networks predict the fourth quarter, each quarter in turn.
// The interval has kAgreementCoverage. `profile` gives what predict_by_laws() needs beside the
// laws.
NetworkAgreement held_out_agreement(const std::vector<TimedNetwork>& networks,
                                    const Profile& profile);

}  // namespace ridgewalk
