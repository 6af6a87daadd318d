// Networks beside each other: the table that a run ends with, and the report.
#pragma once

#include <string>
#include <vector>

#include "experiments/run_folder.h"
#include "experiments/search_run.h"

namespace ridgewalk {

// What the report says of networks at given ridge points, in latency relative to `reference` (an
// index): {name, kind, parameters, macs, relative_latency, shared_accuracy, ...} each.
Json networks_json(const std::vector<Contender>& contenders,
                   const std::vector<MacsPerByte>& ridge_points, size_t reference);

// {ridge_points, networks: [{name, latency_macs}]} over 0 to 500.
Json sweep_json(const std::vector<Architecture>& architectures,
                const std::vector<MacsPerByte>& ridge_points, DataType type);

// The built-in profiles as marks on a ridge-point axis.
Json profile_marks();

// Everything that report.html of a search shows.
Json search_report(const RunFolder& run, const SearchConfig& config, const SearchOutcome& outcome,
                   const std::string& command, const std::string& machine);

// The comparison as text.
std::string comparison_table(const Json& networks, const std::vector<MacsPerByte>& ridge_points);

}  // namespace ridgewalk
