// Networks beside each other: the table that commands print, and the report.
#pragma once

#include <string>
#include <vector>

#include "experiments/run/network_record.h"
#include "roofline/cost.h"
#include "roofline/latency.h"

namespace ridgewalk {

// A network beside the others.
struct NetworkRow {
  const NetworkRecord& network;
  int64_t parameters = 0;
  double macs = 0;
  // One per ridge point: latency over that of the reference there.
  std::vector<double> relative_latency = {};
};
// Latencies of `batch` images. `reference` is an index; the networks must outlive the rows.
std::vector<NetworkRow> network_rows(const std::vector<NetworkRecord>& networks,
                                     const std::vector<MacsPerByte>& ridge_points, size_t reference,
                                     NetworkTypes types = {}, int batch = 1);

// What the report says of networks: {name, kind, parameters, macs, relative_latency,
// shared_accuracy, ...} each.
Json networks_json(const std::vector<NetworkRow>& rows);
Json values_json(const std::vector<MacsPerByte>& ridge_points);

// A report of networks with their accuracies, the first the reference.
Json network_report(const std::string& title, const std::string& command,
                    const std::vector<NetworkRecord>& networks,
                    const std::vector<MacsPerByte>& shown);

std::string network_table(const std::vector<NetworkRow>& rows,
                          const std::vector<MacsPerByte>& ridge_points);

}  // namespace ridgewalk
