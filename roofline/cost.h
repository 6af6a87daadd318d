// MACs and memory traffic of each operation of a graph.
#pragma once

#include <cstdint>
#include <vector>

#include "roofline/units.h"
#include "space/data_type.h"
#include "space/graph.h"
#include "space/head.h"

namespace ridgewalk {

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
template <>
inline constexpr auto kNames<ByteConvention> = name_table<ByteConvention>(
    "convention of counting bytes", {{ByteConvention::kMnv4, "mnv4"},
                                     {ByteConvention::kMnv4Adds, "mnv4-adds"},
                                     {ByteConvention::kWeightsOut, "weights-out"},
                                     {ByteConvention::kOutOnly, "out-only"},
                                     {ByteConvention::kAten, "aten"},
                                     {ByteConvention::kBlockFused, "block-fused"}});

// Elements, not bytes: the data type is given when bytes are asked for.
struct OpCost {
  Macs macs = {};
  int64_t weight_elements = 0;      // read: of a convolution or linear layer, its bias included
  int64_t activation_elements = 0;  // inputs + output
  int64_t parameters = 0;           // learned, norms included; shared ones once, at the first op
};

// Of `images` that run together: the weights are read once.
OpCost of_batch(OpCost cost, int images);

// In which data types a network computes: its stages, and what follows the last of them, as the
// float head of an int8 network.
struct NetworkTypes {
  DataType stages = DataType::kInt8;
  DataType head = stages;

  DataType of(const Graph& graph, int op) const { return op < head_begin(graph) ? stages : head; }
  bool are_mixed() const { return head != stages; }
};

Bytes bytes(const OpCost& cost, DataType type);
// MACs over bytes; 0 for an op that moves nothing.
MacsPerByte operational_intensity(const OpCost& cost, DataType type);

// What a runtime launches by itself, each launch with its overhead.
enum class KernelConvention {
  kFused,    // ops with MACs; all else runs inside them or costs nothing
  kUnfused,  // every op: norms, activations, adds and pools by themselves, as in eager PyTorch
};
template <>
inline constexpr auto kNames<KernelConvention> = name_table<KernelConvention>(
    "convention of counting kernels",
    {{KernelConvention::kFused, "fused"}, {KernelConvention::kUnfused, "unfused"}});
bool is_kernel(const Op& op, const OpCost& cost, KernelConvention convention);
int kernel_count(const Graph& graph, KernelConvention convention);

// One per op of the graph, in its order, for one image.
std::vector<OpCost> op_costs(const Graph& graph, ByteConvention convention = ByteConvention::kMnv4);

struct NetworkCost {
  Macs macs = {};
  Macs attention_macs;  // of the two attention products only
  int64_t parameters = 0;
  int64_t weight_elements = 0;
  int64_t activation_elements = 0;
};
// Of so many images that run together. Throws Error beyond 2^53 MACs.
NetworkCost network_cost(const Graph& graph, ByteConvention convention = ByteConvention::kMnv4,
                         int images = 1);

}  // namespace ridgewalk
