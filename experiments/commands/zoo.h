// `bench --zoo`: a table of networks in fp32 and int8, in the form that device zoos print.
#pragma once

#include <optional>
#include <string>

#include "experiments/run/json.h"
#include "space/architecture.h"
#include "supernet/formats/weights.h"
#include "supernet/quantization/quantized_network.h"

namespace ridgewalk {

struct ZooNetwork {
  Architecture architecture;
  Network fp32;  // folded
  QuantizedNetwork int8;
  std::optional<double> fp32_top1 = {}, int8_top1 = {};  // in [0, 1], where there are images
};

// Appends a record of each data type. Runs 1, 2, 4 and 8 threads as far as there are cores, each
// with frames of its own for so many seconds.
void add_zoo_records(const ZooNetwork& network, double seconds, Json& records);

// As Markdown.
std::string zoo_table(const Json& records);

}  // namespace ridgewalk
