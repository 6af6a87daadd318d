// A network with what is known of it: what searches, rankings, comparisons and reports hand on.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/run/results.h"
#include "roofline/intervals.h"
#include "space/architecture.h"

namespace ridgewalk {

enum class NetworkKind { kFound, kReference, kRandom };
template <>
inline constexpr auto kNames<NetworkKind> =
    name_table<NetworkKind>("kind of network", {{NetworkKind::kFound, "found"},
                                                {NetworkKind::kReference, "reference"},
                                                {NetworkKind::kRandom, "random"}});

// Ways to a network, at the same number of training images and the same latency target.
// two-stage: TuNAS, coarse then fine. one-stage: TuNAS over everything at once. random-search,
// evolution: one supernet trained on uniform samples, then the best of those tried with it.
// random-networks: no search at all.
enum class Way { kTwoStage, kOneStage, kRandomSearch, kEvolution, kRandomNetworks };
template <>
inline constexpr auto kNames<Way> =
    name_table<Way>("way to a network", {{Way::kTwoStage, "two-stage"},
                                         {Way::kOneStage, "one-stage"},
                                         {Way::kRandomSearch, "random-search"},
                                         {Way::kEvolution, "evolution"},
                                         {Way::kRandomNetworks, "random-networks"}});

// Of a network of a comparison: how it came about.
struct Origin {
  Way way = {};
  uint64_t seed = 0;
  std::string home = {};  // name of the targets that it was found for, where there are several
  // Of the search, without the training from scratch; evolution's includes the trials of random
  // search, whose supernet it shares.
  double search_seconds = 0;
  // Of the search and of the training from scratch (experiments/evidence/budget.h); evolution's
  // includes the supernet but not the trials of random search. Nothing where a run of an earlier
  // version did not keep it.
  std::optional<Macs> budget = {};
};

// Accuracies are compared only where `images` agree.
struct RatedAccuracy {
  double top1 = 0;     // share
  std::string images;  // "ImageNet-1k validation", "fashion-mnist test", ...
  std::string source;
};

// Of a training-free judge; NaN where it is not defined.
struct ProxyValue {
  double value = 0, seconds = 0;
};

struct NetworkRecord {
  Architecture architecture;  // has the network's name
  NetworkKind kind = NetworkKind::kFound;
  Origin origin = {};
  std::vector<double> of_target = {};      // predicted latency over the target's, one per target
  std::vector<LimitShare> of_limits = {};  // of each target that is a limit
  // With shared weights, on search-validation images; the loss is the mean cross-entropy.
  std::optional<double> shared_top1 = {}, shared_loss = {};
  std::map<std::string, ProxyValue> proxies = {};
  std::optional<double> shared_int8_top1 = {};  // of the same, rounded as int8 would be
  std::vector<TrainingResult> trainings = {};   // one per seed
  std::vector<double> int8_test_top1 = {};  // in int8 after each training, where that was measured
  std::optional<RatedAccuracy> rated = {};  // where it is not that of the trainings
};

// Means over the trainings; nothing where there is none, or no such split.
std::optional<double> test_top1(const NetworkRecord& network);
std::optional<double> search_validation_top1(const NetworkRecord& network);

// The same networks, whatever their names: one is one draw of a sample, however often it is there.
RowsOfNetworks same_networks(const std::vector<NetworkRecord>& networks);

// What the network is rated by: `rated`, else the test accuracy of its trainings.
std::optional<RatedAccuracy> rating(const NetworkRecord& network);

}  // namespace ridgewalk
