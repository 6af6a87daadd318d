// MACs and memory traffic of each operation of a graph.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "roofline/units.h"
#include "space/graph.h"

namespace ridgewalk {

// Width of weights and activations in memory.
enum class DataType { kInt8, kBf16, kFp16, kFp32 };
inline constexpr std::array kDataTypes = {DataType::kInt8, DataType::kBf16, DataType::kFp16,
                                          DataType::kFp32};
int bytes_per_element(DataType type);  // 1, 2, 2, 4
std::string_view to_string(DataType type);
std::optional<DataType> data_type_named(std::string_view name);

// What an op moves to and from memory. Conv, linear and attention products have MACs; norms and
// activations are fused into the op before them unless stated otherwise.
enum class ByteConvention {
  kMnv4,        // weights + inputs + output of ops with MACs; adds, pools, softmax, gates and layer
                // scales are free. Reproduces the ridge points of MobileNetV4, table 16
  kMnv4Adds,    // and the inputs and output of adds, pools, softmax and gates
  kWeightsOut,  // weights + output of these ops; inputs are free (onnx-tool)
  kOutOnly,     // output of ops with MACs (activation counts of fvcore and timm)
  kAten,        // every op reads all its inputs and parameters and writes its output: nothing fused
  kBlockFused,  // a block's input, output and weights; what lies between stays on chip
};
inline constexpr ByteConvention kByteConventions[] = {
    ByteConvention::kMnv4,    ByteConvention::kMnv4Adds, ByteConvention::kWeightsOut,
    ByteConvention::kOutOnly, ByteConvention::kAten,     ByteConvention::kBlockFused};
std::string_view to_string(ByteConvention convention);  // mnv4, mnv4-adds, ...
std::optional<ByteConvention> byte_convention_named(std::string_view name);

// Elements, not bytes: the data type is given when bytes are asked for.
struct OpCost {
  Macs macs = {};
  int64_t weight_elements = 0;      // read: of a convolution or linear layer, its bias included
  int64_t activation_elements = 0;  // inputs + output
  int64_t parameters = 0;           // learned, norms included
};

Bytes bytes(const OpCost& cost, DataType type);
// MACs over bytes; 0 for an op that moves nothing.
MacsPerByte operational_intensity(const OpCost& cost, DataType type);

// One per op of the graph, in its order.
std::vector<OpCost> op_costs(const Graph& graph, ByteConvention convention = ByteConvention::kMnv4);

struct NetworkCost {
  Macs macs = {};
  Macs attention_macs;  // of the two attention products only
  int64_t parameters = 0;
  int64_t weight_elements = 0;
  int64_t activation_elements = 0;
};
NetworkCost network_cost(const Graph& graph, ByteConvention convention = ByteConvention::kMnv4);

}  // namespace ridgewalk
