// How far the accuracy with shared weights ranks networks as their own training does.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/evidence/figure.h"
#include "experiments/run/network_record.h"
#include "roofline/intervals.h"
#include "space/decisions.h"

namespace ridgewalk {

// How far the order of the networks by one figure agrees with that by another.
struct OrderAgreement {
  std::string shared;  // what the first order goes by
  std::string alone;   // and the second
  Figure kendall_tau_b = {}, spearman = {};
};

struct Spread {
  double mean = 0, deviation = 0, lowest = 0, highest = 0;
};

// Figures have 95 % intervals over the networks.
struct Ranking {
  size_t networks = 0;
  size_t draws = 0;      // different networks
  size_t trainings = 0;  // of every network
  std::vector<OrderAgreement> pairs = {};
  // Of a judge without error, as far as the agreement of the trainings tells; with several
  // trainings of every network.
  std::optional<double> best_spearman = {}, best_kendall = {};
  std::map<std::string, double> proxy_seconds = {};  // of a network; only printed
  std::vector<std::string> undefined_proxies = {};   // by name: not finite for every network
  Spread test_top1 = {};
  // Of the network with the best shared accuracy: what its test accuracy lacks to the best of all.
  Figure regret = {};
  double regret_of_a_random_pick = 0;
};

// Of networks with their shared accuracy and loss and at least one training each; a network's
// accuracy from scratch is the mean over its trainings. `rows` says which networks are the same,
// under different names, and so are one draw; all differ where it is empty. With their `decisions`
// in a space, a regression over these judges too.
Ranking rank(const std::vector<NetworkRecord>& networks, uint64_t seed, RowsOfNetworks rows = {},
             const std::vector<Decisions>& decisions = {});

// Those whose MACs differ from the median by at most this share of it.
std::vector<NetworkRecord> near_median_macs(const std::vector<NetworkRecord>& networks,
                                            double tolerance);

Json ranking_json(const Ranking& ranking);
std::string ranking_text(const Ranking& ranking);

// One object per network; as CSV, one row with the same names as columns.
Json ranked_json(const std::vector<NetworkRecord>& networks);

}  // namespace ridgewalk
