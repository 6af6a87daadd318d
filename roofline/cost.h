// MACs and memory traffic of each operation of a graph.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "roofline/units.h"
#include "space/graph.h"

namespace ridgewalk {

// Width of weights and activations in memory.
enum class DataType { kInt8, kBf16, kFp16, kFp32 };
int bytes_per_element(DataType type);  // 1, 2, 2, 4
std::string_view to_string(DataType type);
std::optional<DataType> data_type_named(std::string_view name);

// Convention `mnv4`, which reproduces the ridge points of the MobileNetV4 paper (table 16): a
// convolution, linear layer or attention product moves its weights, its inputs and its output once;
// norms and activations are fused into the op before them; adds, pools, softmax, gates and layer
// scales are free. Elements, not bytes: the data type comes with the question.
struct OpCost {
  Macs macs = {};
  int64_t weight_elements = 0;      // of a convolution or linear layer, its bias included
  int64_t activation_elements = 0;  // inputs + output
  int64_t parameters = 0;           // learned, norms included
};

Bytes bytes(const OpCost& cost, DataType type);
// MACs over bytes; 0 for an op that moves nothing.
MacsPerByte operational_intensity(const OpCost& cost, DataType type);

// One a op of the graph, in its order.
std::vector<OpCost> op_costs(const Graph& graph);

struct NetworkCost {
  Macs macs = {};
  Macs attention_macs;  // of the two attention products alone
  int64_t parameters = 0;
  int64_t weight_elements = 0;
  int64_t activation_elements = 0;
};
NetworkCost network_cost(const Graph& graph);

}  // namespace ridgewalk
