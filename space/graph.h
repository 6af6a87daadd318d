// A network as a list of operations, every shape inferred: what is priced is what is run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "space/block.h"
#include "space/inputs.h"
#include "space/names.h"

namespace ridgewalk {

// Of one image. For attention scores: heads, query positions, key positions.
struct Shape {
  int channels = 0;
  int height = 0;
  int width = 0;
  int64_t elements() const { return int64_t{channels} * height * width; }
  bool operator==(const Shape&) const = default;
};

enum class OpKind {
  kInput,            // the image
  kConv,             // convolution, dense or in groups, padding (kernel - 1) / 2
  kDepthwise,        // one filter per channel, same padding
  kLinear,           // on flattened features
  kAttentionScores,  // inputs query, key: query . key / sqrt(key_dim), one map per head
  kAttentionMix,     // inputs scores, value: weighted sums of values, heads concatenated
  kNorm,             // batch norm
  kActivation,
  kSoftmax,      // over key positions
  kAdd,          // inputs branch, skip
  kMean,         // of all inputs: options of a choice that run side by side (operation warm-up)
  kLayerScale,   // one learned factor per channel
  kPool,         // global average
  kSigmoid,      // gates of squeeze-and-excitation
  kHardSigmoid,  // relu6(x + 3) / 6
  kMultiply,     // inputs features, gate
  kUpsample,     // nearest neighbour, `stride` times as high and wide
};

template <>
inline constexpr auto kNames<OpKind> =
    name_table<OpKind>("op", {{OpKind::kInput, "input"},
                              {OpKind::kConv, "conv"},
                              {OpKind::kDepthwise, "depthwise"},
                              {OpKind::kLinear, "linear"},
                              {OpKind::kAttentionScores, "attention_scores"},
                              {OpKind::kAttentionMix, "attention_mix"},
                              {OpKind::kNorm, "norm"},
                              {OpKind::kActivation, "activation"},
                              {OpKind::kSoftmax, "softmax"},
                              {OpKind::kAdd, "add"},
                              {OpKind::kMean, "mean"},
                              {OpKind::kLayerScale, "layer_scale"},
                              {OpKind::kPool, "pool"},
                              {OpKind::kSigmoid, "sigmoid"},
                              {OpKind::kHardSigmoid, "hard_sigmoid"},
                              {OpKind::kMultiply, "multiply"},
                              {OpKind::kUpsample, "upsample"}});

struct Op {
  OpKind kind = OpKind::kInput;
  std::string name;  // of the module in timm's naming; a parameter's name starts with it
  // Where several ops have the same parameters: what their names start with instead.
  std::string shared_name = {};
  Inputs inputs = {};  // earlier ops
  Shape output;
  int kernel = 1;
  int stride = 1;
  int groups = 1;    // of a convolution: each reads its share of the channels; see groups_of()
  int heads = 0;     // attention
  int kv_heads = 1;  // of its keys or values: one for all heads, or as many
  bool bias = false;
  Activation activation = Activation::kNone;
  double layer_scale = 0;  // initial value
  // In training, the probability that the branch of an add is dropped for an image, or that a
  // feature at the input of a linear layer is zeroed; what is left is scaled to keep the mean.
  double drop = 0;
};

// The groups of a convolution: of a depthwise one as many as it has channels.
int groups_of(const Op& op);

// A value under a name: what a detector gives.
struct Output {
  std::string name;
  int op = 0;
  bool operator==(const Output&) const = default;
};

// ops[0] is the input, and each op comes after its inputs. The last op gives the logits, unless
// there are other outputs, in the order of their ops.
struct Graph {
  std::string name;
  NormConstants norm = {};
  std::vector<Op> ops;
  // Of a lowered architecture: the index of the first op of each stage, then that of the head.
  std::vector<int> part_begins = {};
  std::vector<Output> outputs = {};
};

enum class ParameterRole {
  kWeight,
  kBias,
  kNormWeight,
  kNormBias,
  kRunningMean,
  kRunningVar,
  kLayerScale
};

// Buffers (running statistics) are stored with the weights, but are neither learned nor counted.
constexpr bool is_learned(ParameterRole role) {
  return role != ParameterRole::kRunningMean && role != ParameterRole::kRunningVar;
}

struct Parameter {
  std::string name;  // timm's state-dict name
  std::vector<int64_t> shape;
  ParameterRole role;
  int64_t groups = 1;  // of a convolution's weight: shape[1] is the input channels of one of them
  int64_t elements() const;
};

// The parameters of ops[index], in timm's order; empty for most kinds.
std::vector<Parameter> parameters(const Graph& graph, int index);

// How many values parameters(graph, index) have, without naming them: pricing asks for each op.
struct ParameterElements {
  int64_t learned = 0;
  int64_t running = 0;  // statistics
};
ParameterElements parameter_elements(const Graph& graph, int index);
// What the names of an op's parameters start with.
inline const std::string& parameter_prefix(const Op& op) {
  return op.shared_name.empty() ? op.name : op.shared_name;
}
// Whether an earlier op has the parameters of ops[index], so that they count there.
bool shares_earlier(const Graph& graph, int index);

// How often each op is read, outputs included.
std::vector<int> use_counts(const Graph& graph);

// Learned parameters of the whole network, counted as timm does.
int64_t parameter_count(const Graph& graph);

}  // namespace ridgewalk
