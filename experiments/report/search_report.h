// The report of a search, and what it ends with on the terminal.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/report/network_report.h"
#include "experiments/run/search_run.h"

namespace ridgewalk {

struct PhaseTiming {
  std::string title;
  double seconds = 0;
  std::optional<Rates> rates = {};
};

// What a search found, what its networks cost, and what all that took.
struct SearchSummary {
  const SearchOutcome& outcome;
  size_t reference = 0;  // index of the network that the others are relative to
  std::vector<NetworkRow> rows = {};
  std::vector<PhaseTiming> timing = {};
  double peak_memory_mib = 0;
};
SearchSummary summarize_search(const SearchContext& context, const SearchOutcome& outcome);

// Everything that report.html of a search shows.
Json search_report(const SearchContext& context, const SearchSummary& summary,
                   const std::string& command, const std::string& machine);

}  // namespace ridgewalk
