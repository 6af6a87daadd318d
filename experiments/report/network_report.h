// Networks beside each other: the table that a run ends with, and the report.
#pragma once

#include <string>
#include <vector>

#include "experiments/report/rated_network.h"
#include "experiments/run/run_folder.h"
#include "experiments/run/search_run.h"

namespace ridgewalk {

// What the report says of networks at given ridge points, in latency relative to `reference` (an
// index): {name, kind, parameters, macs, relative_latency, shared_accuracy, ...} each.
Json networks_json(const std::vector<Contender>& contenders,
                   const std::vector<MacsPerByte>& ridge_points, size_t reference,
                   DataType type = DataType::kInt8);

// A report of networks with their accuracies, the first the reference.
Json network_report(const std::string& title, const std::string& command,
                    const std::vector<RatedNetwork>& networks,
                    const std::vector<Contender>& contenders,
                    const std::vector<MacsPerByte>& shown);

// Everything that report.html of a search shows.
Json search_report(const RunFolder& run, const SearchConfig& config, const SearchOutcome& outcome,
                   const std::string& command, const std::string& machine);

// The comparison as text.
std::string comparison_table(const Json& networks, const std::vector<MacsPerByte>& ridge_points);

}  // namespace ridgewalk
