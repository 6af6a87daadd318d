// `bench --zoo`: a table of networks in fp32 and int8, in the form that device zoos print.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/run/json.h"
#include "space/architecture.h"
#include "space/data_type.h"

namespace ridgewalk {

struct ZooOptions {
  std::vector<Architecture> networks;
  std::optional<std::string> weights, int8_weights;  // of a single network; else fresh ones
  double seconds = 0.2;                              // of frames in each measurement
};

// One record per network and data type, in JSON and as a Markdown table. Runs 1, 2, 4 and 8 threads
// as far as there are cores, each with frames of its own.
Json zoo_records(const ZooOptions& options);
std::string zoo_table(const Json& records);

}  // namespace ridgewalk
