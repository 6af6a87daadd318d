// What the networks of several ways and seeds tell: what a search is worth.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/evidence/best_random.h"
#include "experiments/evidence/estimate.h"
#include "experiments/run/network_record.h"

namespace ridgewalk {

// What searching does to an architecture: means over its UIBs.
struct Build {
  double width = 0;
  double expansion = 0;
  int uibs = 0;
};
Build build_of(const Architecture& architecture);

// What is compared; of several targets, the one that is missed by most.
enum class ComparedFigure {
  kOfTarget,
  kParameters,
  kMacs,
  kUibs,
  kMeanWidth,
  kMeanExpansion,
  kSharedTop1,
  kHeldOutTop1,
  kTestTop1,
  kSearchSeconds,
};
template <>
inline constexpr auto kNames<ComparedFigure> = name_table<ComparedFigure>(
    "figure", {{ComparedFigure::kOfTarget, "of_target"},
               {ComparedFigure::kParameters, "parameters"},
               {ComparedFigure::kMacs, "macs"},
               {ComparedFigure::kUibs, "uibs"},
               {ComparedFigure::kMeanWidth, "mean_width"},
               {ComparedFigure::kMeanExpansion, "mean_expansion"},
               {ComparedFigure::kSharedTop1, "shared_search_validation_top1"},
               {ComparedFigure::kHeldOutTop1, "scratch_search_validation_top1"},
               {ComparedFigure::kTestTop1, "scratch_test_top1"},
               {ComparedFigure::kSearchSeconds, "search_seconds"}});

// The networks of one way: means over the seeds with 95 % intervals. The random networks of one
// seed count as one: they share its data split and training seed.
struct WaySummary {
  Way way = {};
  size_t networks = 0;
  std::map<ComparedFigure, Estimate> figures = {};  // those that are known
  // Test accuracy less that of the seed's random networks. Of two-stage also less that of
  // one-stage, and the same difference of the latency over the target's.
  std::optional<Estimate> over_random = {};
  std::optional<Estimate> over_one_stage = {}, over_one_stage_of_target = {};
  std::optional<AgainstBestRandom> against_best_random = {};
};
// Of networks with their origins and trainings; only ways that have some.
std::vector<WaySummary> summarize(const std::vector<NetworkRecord>& networks);

Json summary_json(const std::vector<WaySummary>& summary);
// One object per network.
Json compared_json(const std::vector<NetworkRecord>& networks);
// Both as text.
std::string comparison_text(const std::vector<WaySummary>& summary,
                            const std::vector<NetworkRecord>& networks);

}  // namespace ridgewalk
